--TEST--
A periodic timer that is called late is due in time again
--FILE--
<?php
$base = new EventBase;
$timer = function (float $after, callable $callback) use ($base) {
    $event = Event::timer($base, $callback);
    $event->add($after);
    return $event;
};
$slow = $timer(0.39, function () { echo "slow\n"; usleep(160000); });
$between = $timer(0.875, function () use ($base) { echo "between\n"; $base->stop(); });
$periodic = new Event($base, -1, Event::TIMEOUT | Event::PERSIST, function () { echo "tick\n"; });
$periodic->add(0.4);
$base->loop();
?>
--EXPECT--
slow
tick
tick
between
