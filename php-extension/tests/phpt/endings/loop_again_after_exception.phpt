--TEST--
The loop goes on after an exception
--FILE--
<?php
$base = new EventBase; $n = 0;
$bad = Event::timer($base, function () { throw new Exception('one'); }); $bad->add(0);
$good = Event::timer($base, function () use (&$n) { echo "good ", ++$n, "\n"; }); $good->add(0.01);
try { @$base->loop(); } catch (Exception $x) { echo $x->getMessage(), "\n"; }
var_dump($bad->pending, $base->gotStop(), $base->gotExit()); $base->loop();
?>
--EXPECT--
one
bool(false)
bool(true)
bool(false)
good 1
