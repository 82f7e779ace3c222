--TEST--
A persistent event that has nothing to call is deleted after one warning
--FILE--
<?php
$base = new EventBase;
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$event = new Event($base, $a, Event::WRITE | Event::PERSIST, 'no_such_function');
$event->add();
$base->exit(0.2);
$base->loop();
var_dump($event->pending);
?>
--EXPECTF--
Warning: EventBase::loop(): The callback of Event is not callable in %s on line %d
bool(false)
