--TEST--
Every method of an event that was never made answers
--FILE--
<?php
$base = new EventBase; $e = @new Event($base, 0, 64, function () {});
var_dump($e->pending, $e->data, @$e->pending(1), @$e->setPriority(0), @$e->setTimer($base, function () {}), @$e->removeTimer(), @$base->set($e), @$e->add(), @$e->del());
$e->free();
?>
--EXPECT--
NULL
NULL
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
