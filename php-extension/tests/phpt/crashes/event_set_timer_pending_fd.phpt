--TEST--
Event::setTimer on a pending descriptor event is refused
--FILE--
<?php
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$base = new EventBase; $e = new Event($base, $a, Event::READ, function () { echo "read\n"; }); $e->add();
var_dump(@$e->setTimer($base, function () {})); fwrite($b, 'x'); $base->loop();
?>
--EXPECT--
bool(false)
read
