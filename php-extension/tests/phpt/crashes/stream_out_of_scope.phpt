--TEST--
An event holds its stream: the descriptor is not reused under it
--FILE--
<?php
$base = new EventBase;
function watch($base) { [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); $e = new Event($base, $a, Event::READ, function ($fd) { var_dump(is_resource($fd), fread($fd, 10)); }); $e->add(); return [$e, $b]; }
[$e, $b] = watch($base); fwrite($b, 'hello'); $base->loop();
?>
--EXPECT--
bool(true)
string(5) "hello"
