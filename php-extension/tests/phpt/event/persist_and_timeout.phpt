--TEST--
PERSIST with a timeout is armed again after each activation
--FILE--
<?php
$base = new EventBase; $n = 0;
$e = new Event($base, -1, Event::TIMEOUT | Event::PERSIST, function ($fd, $what) use (&$n, &$e) { var_dump($what, $e->pending); if (++$n == 3) $e->del(); });
$e->add(0.01); $base->loop(); var_dump($n); $e = null;
?>
--EXPECT--
int(1)
bool(true)
int(1)
bool(true)
int(1)
bool(true)
int(3)
