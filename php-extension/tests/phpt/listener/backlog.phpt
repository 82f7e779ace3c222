--TEST--
A listener with a backlog of 0 does not begin to listen
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
foreach ([0, 5] as $backlog) {
    $socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
    socket_bind($socket, '127.0.0.1', 0);
    try {
        $listener = new EventListener($base, function () {}, null, EventListener::OPT_CLOSE_ON_FREE, $backlog, $socket);
        $listener->getSocketName($address, $port);
        var_dump((bool) @stream_socket_client("tcp://$address:$port"));
    } catch (Exception $exception) {
        echo $exception->getMessage(), "\n";
    }
}
?>
--EXPECT--
the given socket: it does not listen; give a backlog, or -1 for the default one
bool(true)
