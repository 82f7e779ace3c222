--TEST--
freeze and unfreeze
--FILE--
<?php
$b = new EventBuffer; $b->add('abc'); var_dump($b->freeze(true), $b->read(1), $b->drain(1), $b->prepend('x'), $b->add('d'), $b->unfreeze(true), $b->freeze(false), $b->add('x'), $b->prepend('y'), $b->unfreeze(false), $b->read(10));
?>
--EXPECT--
bool(true)
NULL
bool(false)
bool(false)
bool(true)
bool(true)
bool(true)
bool(false)
bool(true)
bool(true)
string(5) "yabcd"
