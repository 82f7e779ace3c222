--TEST--
An event without a variable does not fire, and the loop does not wait for it
--FILE--
<?php
$base = new EventBase;
$begun = microtime(true);
foreach ([0, 5] as $seconds) {
    $event = Event::timer($base, function () { echo "never\n"; });
    $event->add($seconds);
    unset($event);
    $base->loop();
}
var_dump(microtime(true) - $begun < 4);
?>
--EXPECT--
bool(true)
