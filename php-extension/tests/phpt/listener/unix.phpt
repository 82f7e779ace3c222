--TEST--
A listener on a unix socket
--FILE--
<?php
$path = sys_get_temp_dir() . '/php-event-' . getmypid() . '.sock'; $base = new EventBase; $l = new EventListener($base, function ($l, $fd, $address) use ($base) { var_dump($address); $base->exit(); }, null, EventListener::OPT_CLOSE_ON_FREE, -1, "UNIX:$path");
$l->getSocketName($name, $none); var_dump($name === $path); $c = stream_socket_client("unix://$path"); $base->loop(); unlink($path);
?>
--EXPECT--
bool(true)
NULL
