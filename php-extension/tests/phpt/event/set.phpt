--TEST--
Event::set replaces what is given and keeps the rest
--FILE--
<?php
$base = new EventBase; [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); [$c, $d] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$e = new Event($base, $a, Event::READ, function ($fd, $what, $arg) { echo fread($fd, 10), " $what $arg\n"; }, 'first');
var_dump($e->set($base, $c, Event::READ)); fwrite($d, 'from d'); $e->add(); $base->loop();
var_dump($e->set($base, $a, Event::READ, function ($fd) { echo "new\n"; }, 'second')); fwrite($b, 'x'); $e->add(); var_dump(@$e->set($base, $a)); $base->loop();
$w = new Event($base, $a, Event::WRITE, function ($fd, $what) use ($a, $c) { var_dump($fd === $a ? 'a' : 'c', $what); });
var_dump($w->set($base, $c)); $w->add(); $base->loop(); var_dump($w->set($base, null)); $w->add(); $base->loop();
try { $e->set($base, $a, Event::READ, 'no such function'); } catch (TypeError $x) { echo get_class($x), "\n"; }
?>
--EXPECT--
bool(true)
from d 2 first
bool(true)
bool(false)
new
bool(true)
string(1) "c"
int(4)
bool(true)
string(1) "c"
int(4)
TypeError
