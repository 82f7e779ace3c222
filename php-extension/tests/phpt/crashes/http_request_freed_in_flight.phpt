--TEST--
A request that is freed and dropped while it is under way completes
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($req) { $req->sendReply(204, 'No Content'); });
$c = new EventHttpConnection($base, null, '127.0.0.1', $port);
$r = new EventHttpRequest(function ($r) use ($base) { var_dump($r->getResponseCode()); $base->exit(); });
$r->addHeader('Host', 'x', EventHttpRequest::OUTPUT_HEADER);
$c->makeRequest($r, EventHttpRequest::CMD_GET, '/'); $r->free(); unset($r); $base->loop();
?>
--EXPECT--
int(204)
