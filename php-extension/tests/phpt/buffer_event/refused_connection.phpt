--TEST--
A refused connection, and addresses that are none
--FILE--
<?php
$s = stream_socket_server('tcp://127.0.0.1:0'); $port = strrchr(stream_socket_get_name($s, false), ':'); fclose($s);
$base = new EventBase; $c = new EventBufferEvent($base, null, 0, null, null, function ($c, $what) { var_dump($what & EventBufferEvent::ERROR, EventUtil::getLastSocketErrno() > 0); });
var_dump($c->connect("127.0.0.1$port")); $base->loop(); foreach (['', 'nonsense', '127.0.0.1:99999'] as $bad) { $c = new EventBufferEvent($base); var_dump(@$c->connect($bad)); }
?>
--EXPECT--
bool(true)
int(32)
bool(true)
bool(false)
bool(false)
bool(false)
