--TEST--
A Socket of EventUtil::createSocket knows its family
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_DGRAM, 0);
$socket = EventUtil::createSocket(EventUtil::getSocketFd($near));
fwrite($far, 'text');
var_dump(socket_recvfrom($socket, $data, 10, 0, $name), $data); // without a port, which only other families have
?>
--EXPECT--
int(4)
string(4) "text"
