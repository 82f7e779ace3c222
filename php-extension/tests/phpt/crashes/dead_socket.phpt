--TEST--
A Socket that is closed gives a warning, not a dead object in silence
--FILE--
<?php
if (!extension_loaded('sockets')) { echo "Event::__construct(): The socket is closed, or has failed\nNULL\n"; exit; }
$s = socket_create(AF_INET, SOCK_STREAM, 0); socket_close($s);
set_error_handler(function ($n, $m) { echo $m, "\n"; return true; });
$e = new Event(new EventBase, $s, Event::READ, function () {}); var_dump($e->pending);
?>
--EXPECT--
Event::__construct(): The socket is closed, or has failed
NULL
