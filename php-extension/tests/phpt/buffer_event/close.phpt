--TEST--
EventBufferEvent::close tells whether there was a descriptor to close
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$bev = new EventBufferEvent($base, $near, EventBufferEvent::OPT_CLOSE_ON_FREE);
var_dump($bev->close(), $bev->close(), fread($far, 1), feof($far));
var_dump((new EventBufferEvent($base))->close(), EventBufferEvent::createPair($base)[0]->close());
$bev->free();
var_dump($bev->close());
?>
--EXPECT--
bool(true)
bool(false)
string(0) ""
bool(true)
bool(false)
bool(false)
bool(false)
