--TEST--
EventBuffer::read and copyout with -1 take all there is, of a large buffer too
--FILE--
<?php
$text = random_bytes(100000);
$buffer = new EventBuffer;
$buffer->add($text);
var_dump($buffer->copyout($copy, -1), $copy === $text);
var_dump($buffer->read(-1) === $text, $buffer->length);
?>
--EXPECT--
int(100000)
bool(true)
bool(true)
int(0)
