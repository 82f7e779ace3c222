--TEST--
exit and stop, and how the loop ended
--FILE--
<?php
$base = new EventBase; $far = Event::timer($base, function () {}); $far->add(100);
$e = Event::timer($base, function () use ($base) { $base->exit(); }); $e->add(0); $base->loop(); var_dump($base->gotExit(), $base->gotStop());
$e = Event::timer($base, function () use ($base) { $base->stop(); }); $e->add(0); $base->loop(); var_dump($base->gotExit(), $base->gotStop());
$base->exit(0.01); $base->loop(); var_dump($base->gotExit());
?>
--EXPECT--
bool(true)
bool(false)
bool(false)
bool(true)
bool(true)
