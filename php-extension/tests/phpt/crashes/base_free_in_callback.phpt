--TEST--
EventBase::free and priorityInit in a callback are refused
--FILE--
<?php
$base = new EventBase;
$e = Event::timer($base, function () use (&$base) { var_dump(@$base->free(), @$base->priorityInit(3)); $base = null; echo "base gone\n"; });
$e->add(0); $base->loop(); echo "alive\n";
?>
--EXPECT--
bool(false)
bool(false)
base gone
alive
