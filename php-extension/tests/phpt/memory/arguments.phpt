--TEST--
What callbacks are given leaves no memory behind: addresses and requests
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;

$listener = new EventListener($base, function ($listener, $fd, $peer) use ($base) {
    new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE);
    $base->stop();
}, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
for ($n = 0; $n < 3_000; $n++) {
    if ($n === 1_000) {
        $before = resident();
    }
    $client = stream_socket_client("tcp://$address:$port");
    EventUtil::setSocketOption($client, EventUtil::SOL_SOCKET, EventUtil::SO_LINGER, ['l_onoff' => 1, 'l_linger' => 0]);
    $base->loop();
    $base->loop(EventBase::LOOP_NONBLOCK); // where buffer events end
}
grown('addresses', $before);

$http = new EventHttp($base);
$server = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($server);
$http->setDefaultCallback(function ($request) use ($base) {
    $request->sendReply(200, 'OK');
    $base->stop();
});
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
for ($n = 0; $n < 5_000; $n++) {
    if ($n === 1_000) {
        $before = resident();
    }
    fwrite($client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    $base->loop();
    $base->loop(EventBase::LOOP_NONBLOCK);
    if (!str_starts_with(fread($client, 1000), 'HTTP/1.1 200 OK')) {
        die('no answer');
    }
}
grown('requests', $before);

[$address, $port] = explode(':', stream_socket_get_name($server, false));
$connection = new EventHttpConnection($base, null, $address, (int) $port);
$http->setDefaultCallback(fn ($request) => $request->sendReply(200, 'OK'));
for ($n = 0; $n < 5_000; $n++) {
    if ($n === 1_000) {
        $before = resident();
    }
    $request = new EventHttpRequest(fn () => $base->stop());
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    $base->loop();
}
grown('requests of a client', $before);
?>
--EXPECT--
addresses: flat
requests: flat
requests of a client: flat
