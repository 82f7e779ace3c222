--TEST--
A timer that only its own closure holds fires, and is collected then
--FILE--
<?php
$base = new EventBase;
function later($base) { $e = Event::timer($base, function () use (&$e) { echo "fired\n"; }); $e->add(0.01); }
later($base); gc_collect_cycles(); $base->loop(); var_dump(gc_collect_cycles() > 0);
?>
--EXPECT--
fired
bool(true)
