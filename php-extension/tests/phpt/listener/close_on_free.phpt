--TEST--
OPT_CLOSE_ON_FREE closes what the listener was given, also where a variable holds it
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
        socket_listen($socket);
        return $socket;
    },
];
$end = [
    'free' => fn ($listener) => $listener->free(),
    'the last variable' => function () {},
];
foreach ($make as $kind => $socket) {
    foreach ($end as $how => $free) {
        foreach ([false, true] as $as_number) {
            foreach ([0, EventListener::OPT_CLOSE_ON_FREE] as $flag) {
                $kept[] = $given = $socket(); // else it would close its number twice, by then another's
                $listener = new EventListener($base, function () {}, null, $flag | EventListener::OPT_CLOSE_ON_EXEC, 5,
                    $as_number ? EventUtil::getSocketFd($given) : $given);
                $listener->getSocketName($address, $port);
                $free($listener);
                $listener = null;
                $client = @stream_socket_client("tcp://$address:$port");
                if (is_resource($client) === (bool)$flag) {
                    echo "$kind, $how, ", $as_number ? 'as number' : 'as it is', ", $flag: is ",
                        $flag ? 'open' : 'closed', "\n";
                }
            }
        }
    }
}

// A constructor that fails closes nothing.
$given = stream_socket_server('tcp://127.0.0.1:0');
$base->free();
try {
    new EventListener($base, function () {}, null, EventListener::OPT_CLOSE_ON_FREE, 5, $given);
} catch (Exception $exception) {
    var_dump(is_resource(stream_socket_client('tcp://' . stream_socket_get_name($given, false))));
}
?>
--EXPECT--
bool(true)
