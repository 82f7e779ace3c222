--TEST--
What the accept callback gets
--FILE--
<?php
$base = new EventBase; $l = new EventListener($base, function ($l, $fd, $address, $data) use ($base) { var_dump(is_int($fd), $address[0], is_int($address[1]), $data, $l->fd > 0); $base->exit(); }, 'data', EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE, 5, '127.0.0.1:0');
$l->getSocketName($a, $p); $c = stream_socket_client("tcp://127.0.0.1:$p"); $base->loop(); $l->setCallback(function ($l, $fd, $a, $data) use ($base) { echo "second $data\n"; $base->exit(); }); $c = stream_socket_client("tcp://127.0.0.1:$p"); $base->loop(); $l->free(); var_dump($l->fd, @$l->enable());
?>
--EXPECT--
bool(true)
string(9) "127.0.0.1"
bool(true)
string(4) "data"
bool(true)
second data
NULL
bool(false)
