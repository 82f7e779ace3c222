--TEST--
A connection that no variable holds is not collected while a request is under way
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(fn ($request) => $request->sendReply(200, 'OK'));
$ask = function () use ($base, $port) {
    $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
    $connection->setCloseCallback(function () use (&$connection) {});
    $request = new EventHttpRequest(function ($request) use ($base) {
        echo $request?->getResponseCode(), "\n";
        $base->exit();
    });
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    return [WeakReference::create($connection), $request];
};
[$held, $request] = $ask();
unset($request);
gc_collect_cycles();
$base->exit(30);
$base->loop();
gc_collect_cycles();
var_dump($held->get());

[$held, $request] = $ask();
$request->cancel();
gc_collect_cycles();
var_dump($held->get());
?>
--EXPECT--
200
NULL
NULL
