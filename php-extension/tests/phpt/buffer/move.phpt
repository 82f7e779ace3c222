--TEST--
Moving between buffers
--FILE--
<?php
$a = new EventBuffer; $b = new EventBuffer; $a->add('abcdef'); var_dump($b->appendFrom($a, 2), $b->addBuffer($a), $a->length, $b->prependBuffer($a), $b->addBuffer($b), $b->appendFrom($b, 1), $b->read(10), $b->appendFrom($a, 5));
?>
--EXPECT--
int(2)
bool(true)
int(0)
bool(true)
bool(true)
int(0)
string(6) "abcdef"
int(0)
