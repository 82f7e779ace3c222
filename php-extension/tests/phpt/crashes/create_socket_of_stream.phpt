--TEST--
A Socket made from a stream's descriptor closes it; writing to the stream then fails
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$socket = EventUtil::createSocket(EventUtil::getSocketFd($near));
var_dump($socket instanceof Socket);
socket_write($socket, 'x');
stream_set_timeout($far, 5);
var_dump(fread($far, 1));
unset($socket);
stream_set_blocking($far, false);
var_dump(fread($far, 1), feof($far), @fwrite($near, 'x'));
?>
--EXPECT--
bool(true)
string(1) "x"
string(0) ""
bool(true)
bool(false)
