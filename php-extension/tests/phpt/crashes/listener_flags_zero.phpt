--TEST--
A listener without flags on a blocking stream does not hang
--FILE--
<?php
$base = new EventBase; $server = stream_socket_server('tcp://127.0.0.1:0'); $name = stream_socket_get_name($server, false);
$l = new EventListener($base, function ($l, $fd) use ($base) { echo "accepted\n"; $base->exit(); }, null, 0, -1, $server);
$c = stream_socket_client("tcp://$name"); $base->loop(); echo "end\n";
?>
--EXPECT--
accepted
end
