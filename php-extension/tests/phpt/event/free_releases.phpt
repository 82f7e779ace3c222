--TEST--
Event::free lets go of the stream, the callback and the data, although the object stays
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($far, false);
$callback = function () {};
$data = new stdClass;
$event = new Event($base, $near, Event::READ, $callback, $data);
$held = [WeakReference::create($callback), WeakReference::create($data)];
unset($near, $callback, $data);
var_dump($held[0]->get() instanceof Closure, $held[1]->get() === $event->data, fread($far, 1), feof($far));
$event->free();
var_dump($held[0]->get(), $held[1]->get(), fread($far, 1), feof($far));
?>
--EXPECT--
bool(true)
bool(true)
string(0) ""
bool(false)
NULL
NULL
string(0) ""
bool(true)
