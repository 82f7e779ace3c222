--TEST--
Event::set makes a timer periodic, keeps it periodic, and makes it one-shot again
--FILE--
<?php
$base = new EventBase;
$count = 0;
$event = new Event($base, -1, Event::TIMEOUT, function () use (&$count, &$event) {
    if (++$count === 3) {
        $event->del();
    }
});
for ($n = 0; $n < 2; $n++) {
    $count = 0;
    var_dump($event->set($base, -1, Event::TIMEOUT | Event::PERSIST));
    $event->add(0.001);
    $base->loop();
    var_dump($count);
}
var_dump($event->set($base, -1, Event::TIMEOUT));
$count = 0;
$event->add(0.001);
$base->loop();
var_dump($count);
$event = null;
?>
--EXPECT--
bool(true)
int(3)
bool(true)
int(3)
bool(true)
int(1)
