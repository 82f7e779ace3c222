--TEST--
EventBuffer::pullup on several chunks gives the content and no byte more
--FILE--
<?php
$b = new EventBuffer; $b->add("world"); $b->prepend("hello ");
var_dump($b->pullup(2), $b->pullup(-1), $b->length);
$c = new EventBuffer; $c->add(str_repeat("a", 4096 - 24));
var_dump(strlen($c->pullup(-1)), $c->pullup(100000), $c->pullup(0));
?>
--EXPECT--
string(11) "hello world"
string(11) "hello world"
int(11)
int(4072)
NULL
NULL
