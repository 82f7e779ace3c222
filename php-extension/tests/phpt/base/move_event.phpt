--TEST--
EventBase::set moves an event
--FILE--
<?php
$one = new EventBase; $two = new EventBase; $e = Event::timer($one, function () { echo "fired\n"; });
var_dump($two->set($e)); $e->add(0); var_dump(@$two->set($e)); $one->loop(); echo "-\n"; $two->loop();
?>
--EXPECT--
bool(true)
bool(false)
-
fired
