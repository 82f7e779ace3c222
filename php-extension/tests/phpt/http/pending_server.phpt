--TEST--
A server that no variable holds is not collected while it listens
--FILE--
<?php
$base = new EventBase;
[$port, $end] = (function () use ($base) {
    $http = new EventHttp($base);
    for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
    $http->setDefaultCallback(function ($request) use (&$http) { $request->sendReply(200, 'OK'); });
    return [$port, function () use (&$http) { $http = null; }];
})();
gc_collect_cycles();
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest(function ($answer) use ($base) {
    echo $answer->getResponseCode(), "\n";
    $base->stop();
});
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->exit(30);
$base->loop();

(function () use ($base) { // one that listens on nothing
    $http = new EventHttp($base);
    $http->setDefaultCallback(function () use (&$http) {});
})();
var_dump(gc_collect_cycles() > 0);
$end();
?>
--EXPECT--
200
bool(true)
