--TEST--
A Socket that is closed has no descriptor
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
var_dump(EventUtil::getSocketFd($socket) > 2);
socket_close($socket);
var_dump(EventUtil::getSocketFd($socket));
?>
--EXPECT--
bool(true)
int(-1)
