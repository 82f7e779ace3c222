--TEST--
A descriptor given as a number comes back as a number
--FILE--
<?php
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($b, 'x'); $fd = EventUtil::getSocketFd($a);
$base = new EventBase; $e = new Event($base, $fd, Event::READ, function ($got) use ($fd) { var_dump($got === $fd); }); $e->add(); $base->loop();
?>
--EXPECT--
bool(true)
