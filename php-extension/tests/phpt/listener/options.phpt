--TEST--
Flags for threads are taken and mean nothing; the prefix of a path is in any case
--FILE--
<?php
$base = new EventBase;
$path = sys_get_temp_dir() . '/event-' . getmypid() . '.sock';
$flags = EventListener::OPT_CLOSE_ON_FREE | EventListener::OPT_THREADSAFE;
$listener = new EventListener($base, function () { echo "accepted\n"; }, null, $flags, -1, "UNIX:$path");
$client = stream_socket_client("unix://$path");
$base->loop(EventBase::LOOP_ONCE);
unlink($path);
$bev = new EventBufferEvent($base, null, EventBufferEvent::OPT_THREADSAFE);
var_dump($bev->getEnabled() === Event::WRITE);
?>
--EXPECT--
accepted
bool(true)
