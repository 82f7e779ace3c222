--TEST--
What is not callable is reported when it is called
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, 'no_such_function'); $e->add(0); $base->loop(); var_dump($e->pending);
?>
--EXPECTF--

Warning: EventBase::loop(): The callback of Event is not callable in %s on line %d
bool(false)
