--TEST--
substr
--FILE--
<?php
$b = new EventBuffer; $b->add('hello'); $b->prepend('oh '); var_dump($b->substr(0), $b->substr(3, 2), $b->substr(8), @$b->substr(9), $b->substr(-1), $b->substr(0, 0), $b->length);
?>
--EXPECT--
string(8) "oh hello"
string(2) "he"
string(0) ""
bool(false)
bool(false)
string(0) ""
int(8)
