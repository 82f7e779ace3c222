--TEST--
An exception comes out of both loops
--FILE--
<?php
$one = new EventBase; $two = new EventBase;
$inner = Event::timer($two, function () { throw new Exception('deep'); }); $inner->add(0);
$outer = Event::timer($one, function () use ($two) { $two->loop(); echo "not reached\n"; }); $outer->add(0);
try { @$one->loop(); } catch (Exception $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
deep
