--TEST--
exit text in the callback of a descriptor
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; exit("bye"); };
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($b, "x"); $e = new Event($base, $a, Event::READ, $f); $e->add();
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECT--
called
byeshutdown
