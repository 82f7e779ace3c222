--TEST--
copyout sets its argument only when it has copied something
--FILE--
<?php
$buffer = new EventBuffer;
$data = 'before';
var_dump($buffer->copyout($data, 10), $data);
$buffer->add('text');
var_dump($buffer->copyout($data, 0), $data, $buffer->copyout($data, 2), $data, $buffer->length);
?>
--EXPECT--
int(0)
string(6) "before"
int(0)
string(6) "before"
int(2)
string(2) "te"
int(4)
