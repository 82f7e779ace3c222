--TEST--
A client's own port, its retries, and a server's aliases
--FILE--
<?php
$base = new EventBase;
$free = function () {
    $server = stream_socket_server('tcp://127.0.0.1:0');
    return (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
};
$http = new EventHttp($base);
var_dump($http->addServerAlias('a.test'), $http->removeServerAlias('a.test'), $http->removeServerAlias('a.test'));
[$own, $port] = [$free(), $free()];
$http->setDefaultCallback(function ($request) use ($own) {
    $request->getConnection()->getPeer($address, $port);
    var_dump($port === $own);
    $request->sendReply(200, 'OK');
});
$begin = Event::timer($base, function () use ($http, $port) { $http->bind('127.0.0.1', $port); });
$begin->add(0.2);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$connection->setLocalAddress('127.0.0.1');
$connection->setLocalPort($own);
$connection->setRetries(1); // the first attempt finds no server
$request = new EventHttpRequest(function ($answer) use ($base) {
    echo $answer->getResponseCode(), "\n";
    $base->stop();
});
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->exit(30);
$base->loop();
?>
--EXPECT--
bool(true)
bool(true)
bool(false)
bool(true)
200
