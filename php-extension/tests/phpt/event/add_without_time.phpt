--TEST--
A timer without a time is not pending
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () {});
var_dump($e->add(), $e->pending, $e->add(-1), $e->pending, $e->add(10), $e->pending, $e->pending(Event::TIMEOUT), $e->pending(0), $e->removeTimer(), $e->pending);
?>
--EXPECT--
bool(true)
bool(false)
bool(true)
bool(false)
bool(true)
bool(true)
bool(true)
bool(false)
bool(true)
bool(false)
