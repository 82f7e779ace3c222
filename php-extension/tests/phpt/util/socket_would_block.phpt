--TEST--
A Socket whose last call would have blocked has not failed
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
socket_create_pair(AF_UNIX, SOCK_STREAM, 0, $pair);
[$near, $far] = $pair;
socket_set_nonblock($near);
var_dump(socket_read($near, 1), socket_last_error($near) === SOCKET_EAGAIN);
$event = new Event($base, $near, Event::READ, function () use ($near) { echo socket_read($near, 1), "\n"; });
$event->add();
socket_write($far, 'x');
$base->loop();
var_dump(is_int(EventUtil::getLastSocketErrno($near)));

$listening = socket_create_listen(0);
socket_set_nonblock($listening);
var_dump(@socket_accept($listening));
$listener = new EventListener($base, function () {}, null, EventListener::OPT_DISABLED, -1, $listening);
var_dump(is_int($listener->fd));
?>
--EXPECT--
bool(false)
bool(true)
x
bool(true)
bool(false)
bool(true)
