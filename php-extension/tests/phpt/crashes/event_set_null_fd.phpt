--TEST--
Event::set with a null descriptor and a mask is refused
--FILE--
<?php
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$base = new EventBase; $e = new Event($base, $a, Event::READ, function () { echo "old\n"; });
try { $e->set($base, null, Event::READ); } catch (Exception $x) { echo get_class($x), "\n"; }
fwrite($b, 'x'); $e->add(); $base->loop();
?>
--EXPECT--
Exception
old
