--TEST--
Event::set replaces what is given and keeps the rest
--FILE--
<?php
$base = new EventBase; [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); [$c, $d] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$e = new Event($base, $a, Event::READ, function ($fd, $what, $arg) { echo fread($fd, 10), " $what $arg\n"; }, 'first');
var_dump($e->set($base, $c, Event::READ)); fwrite($d, 'from d'); $e->add(); $base->loop();
var_dump($e->set($base, $a, Event::READ, function ($fd) { echo "new\n"; }, 'second')); fwrite($b, 'x'); $e->add(); var_dump(@$e->set($base, $a)); $base->loop();
try { $e->set($base, $a, Event::READ, 'no such function'); } catch (TypeError $x) { echo get_class($x), "\n"; }
?>
--EXPECT--
bool(true)
from d 2 first
bool(true)
bool(false)
new
TypeError
