--TEST--
An exception in a close callback loses neither the answer nor another close callback that is due with it
--FILE--
<?php
$base = new EventBase;
$loop = function () use ($base) {
    $end = Event::timer($base, function () use ($base) { echo "nothing came\n"; $base->exit(); });
    $end->add(10);
    do {
        try {
            @$base->loop();
            return;
        } catch (Exception $e) {
            echo $e->getMessage(), "\n";
        }
    } while (true);
};
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setCallback('/close', function ($request) {
    $request->addHeader('Connection', 'close', EventHttpRequest::OUTPUT_HEADER);
    $request->sendReply(200, 'OK');
});
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$connection->setCloseCallback(function () { throw new Exception('the client closes'); });
$request = new EventHttpRequest(function ($request) use ($base) {
    echo $request->getResponseCode(), "\n";
    $base->exit();
});
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/close');
$loop();

$requests = $closed = 0;
$http->setCallback('/wait', function ($request) use (&$requests, &$closed, $base) {
    $request->getConnection()->setCloseCallback(function () use ($request, &$closed, $base) {
        if (++$closed === 2) {
            $base->exit();
        }
        throw new Exception("the server closes the connection $closed");
    });
    if (++$requests === 2) {
        $base->exit();
    }
});
$clients = [];
for ($n = 0; $n < 2; $n++) {
    $clients[] = $client = stream_socket_client("tcp://127.0.0.1:$port");
    fwrite($client, "GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n");
}
$loop();
array_map('fclose', $clients);
$loop();
?>
--EXPECT--
the client closes
200
the server closes the connection 1
the server closes the connection 2
