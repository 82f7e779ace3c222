--TEST--
A periodic timer has the time of its last add() with one
--FILE--
<?php
$base = new EventBase;
$count = 0;
$event = new Event($base, -1, Event::TIMEOUT | Event::PERSIST, function () use (&$count, &$event, $base) {
    match (++$count) {
        2 => $event->add(), // changes nothing
        4 => $base->stop(),
        default => null,
    };
});
$begun = microtime(true);
$event->add(0.001);
$base->exit(10);
$base->loop();
var_dump($count, microtime(true) - $begun < 0.9);
$event->del();
$event = null;
?>
--EXPECT--
int(4)
bool(true)
