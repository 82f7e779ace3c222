--TEST--
Event::set moves an event to another base
--FILE--
<?php
$one = new EventBase; $other = new EventBase;
$e = new Event($one, -1, Event::TIMEOUT, function () { echo "fired\n"; });
var_dump($e->set($other, -1, Event::TIMEOUT)); $e->add(0); $one->loop(); echo "not on the first\n"; $other->loop();
?>
--EXPECT--
bool(true)
not on the first
fired
