--TEST--
A loop of another base in a callback, and of the same base
--FILE--
<?php
$one = new EventBase; $two = new EventBase;
$inner = Event::timer($two, function () { echo "inner\n"; }); $inner->add(0);
$outer = Event::timer($one, function () use ($one, $two) { var_dump($two->loop(), @$one->loop()); }); $outer->add(0);
var_dump($one->loop());
?>
--EXPECT--
inner
bool(true)
bool(false)
bool(true)
