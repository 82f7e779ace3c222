--TEST--
An exception after the event was moved to another base in its callback ends the loop that runs
--FILE--
<?php
$base = new EventBase;
$other = new EventBase;
$event = Event::timer($base, function () use ($other) {
    $other->set($GLOBALS['event']);
    throw new Exception('thrown');
});
$event->add(0);
$timer = Event::timer($base, function () { echo "the timer fires\n"; });
$timer->add(0.01);
try {
    $base->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
var_dump($base->gotStop(), $other->gotStop(), $timer->pending);
$base->loop();
?>
--EXPECTF--

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
thrown
bool(true)
bool(false)
bool(true)
the timer fires
