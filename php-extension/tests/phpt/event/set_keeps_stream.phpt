--TEST--
Event::set without a descriptor keeps the stream; pending takes any number
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$event = new Event($base, $near, Event::READ, function () {});
unset($near);
var_dump($event->set($base, null, -1, function ($stream) { var_dump(fread($stream, 10)); }));
$event->add();
var_dump($event->pending(Event::READ | 1 << 40), $event->pending(1 << 40));
fwrite($far, 'text');
$base->loop();
?>
--EXPECT--
bool(true)
bool(true)
bool(false)
string(4) "text"
