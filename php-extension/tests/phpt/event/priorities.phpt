--TEST--
The more urgent events run first
--FILE--
<?php
$base = new EventBase; var_dump($base->priorityInit(3));
foreach ([2, 0, 1] as $p) { $e[$p] = Event::timer($base, function () use ($p) { echo "priority $p\n"; }); var_dump($e[$p]->setPriority($p)); $e[$p]->add(0); }
usleep(2000); $base->loop(); var_dump(@$e[0]->setPriority(7));
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
priority 0
priority 1
priority 2
bool(false)
