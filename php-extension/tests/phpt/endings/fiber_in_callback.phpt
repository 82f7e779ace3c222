--TEST--
A fiber that is suspended in a callback
--FILE--
<?php
$base = new EventBase;
$fiber = new Fiber(function () use ($base) { echo "in\n"; Fiber::suspend(); echo "again\n"; });
$e = Event::timer($base, function () use ($fiber) { $fiber->isStarted() ? $fiber->resume() : $fiber->start(); }); $e->add(0); $base->loop(); $e->add(0); $base->loop(); var_dump($fiber->isTerminated());
?>
--EXPECT--
in
again
bool(true)
