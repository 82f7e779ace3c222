--TEST--
A buffer event whose base was freed can be freed, and closes its stream
--FILE--
<?php
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($far, false);
$base = new EventBase;
$bev = new EventBufferEvent($base, $near, EventBufferEvent::OPT_CLOSE_ON_FREE);
$base->free();
var_dump($bev->input, fread($far, 1), feof($far));
$bev->free();
var_dump($bev->fd, fread($far, 1), feof($far));
?>
--EXPECT--
NULL
string(0) ""
bool(false)
NULL
string(0) ""
bool(true)
