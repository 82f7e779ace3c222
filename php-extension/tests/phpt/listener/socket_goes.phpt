--TEST--
A listener on a stream or Socket needs no variable of it, and closes the port when it is freed
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
$make = [
    'stream' => fn () => stream_socket_server('tcp://127.0.0.1:0'),
    'Socket' => function () {
        $socket = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
        socket_bind($socket, '127.0.0.1', 0);
        return $socket;
    },
];
foreach ($make as $kind => $socket) {
    $listener = new EventListener($base, function ($listener, $fd) use ($base) {
        echo "accepted\n";
        new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE);
        $base->stop();
    }, null, EventListener::OPT_CLOSE_ON_FREE, 5, $socket());
    gc_collect_cycles();
    $listener->getSocketName($address, $port);
    $client = stream_socket_client("tcp://$address:$port");
    $base->exit(30);
    $base->loop();
    $listener->free();
    var_dump(@stream_socket_client("tcp://$address:$port"));
}
?>
--EXPECT--
accepted
bool(false)
accepted
bool(false)
