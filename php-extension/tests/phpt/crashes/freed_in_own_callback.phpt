--TEST--
Objects that are freed in their own callbacks
--FILE--
<?php
$base = new EventBase;
$timer = Event::timer($base, function () use (&$timer) {
    $timer->free();
    echo "timer\n";
});
$timer->add(0);
$base->loop();

[$near, $far] = EventBufferEvent::createPair($base);
$near->setCallbacks(function ($bev) {
    $bev->free();
    echo "buffer event: ", var_export($bev->fd, true), "\n";
}, null, null);
$near->enable(Event::READ);
$far->write('x');
$base->loop();
unset($near, $far);

$listener = new EventListener($base, function ($listener) use ($base) {
    $listener->free();
    echo "listener: ", var_export($listener->fd, true), "\n";
    $base->exit();
}, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$client = stream_socket_client("tcp://127.0.0.1:$port");
$base->loop();

$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($request) use (&$http) {
    $http = null;
    echo "server\n";
    $request->sendReply(200, 'OK');
});
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest(function ($answer) use ($base, &$connection, &$request) {
    $answer->free();
    $connection = $request = null;
    echo "client: ", $answer ? $answer->getResponseCode() : 'none', "\n";
    $base->exit();
});
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->exit(30);
$base->loop();
echo "end\n";
?>
--EXPECT--
timer
buffer event: NULL
listener: NULL
server
client: 200
end
