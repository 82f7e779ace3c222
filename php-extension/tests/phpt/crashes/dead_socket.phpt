--TEST--
A Socket that is closed or has failed gives a warning; one that is still connecting is watched
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
$listening = socket_create(AF_INET, SOCK_STREAM, 0);
socket_bind($listening, '127.0.0.1', 0);
socket_getsockname($listening, $address, $port);

$closed = socket_create(AF_INET, SOCK_STREAM, 0);
socket_close($closed);
$failed = socket_create(AF_INET, SOCK_STREAM, 0);
@socket_connect($failed, $address, $port); // nobody listens yet
socket_listen($listening);
$connecting = socket_create(AF_INET, SOCK_STREAM, 0);
socket_set_nonblock($connecting);
@socket_connect($connecting, $address, $port);
var_dump(socket_last_error($connecting) === SOCKET_EINPROGRESS);

set_error_handler(function ($n, $text) { echo $text, "\n"; return true; });
foreach ([$closed, $failed, $connecting] as $socket) {
    $event = new Event($base, $socket, Event::WRITE, function ($socket) { echo "connected\n"; });
    var_dump($event->pending);
}
$event->add();
$base->loop();
?>
--EXPECT--
bool(true)
Event::__construct(): The socket is closed, or has failed
NULL
Event::__construct(): The socket is closed, or has failed
NULL
bool(false)
connected
