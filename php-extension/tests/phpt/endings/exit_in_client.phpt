--TEST--
exit in the callback of a client ends the script
--FILE--
<?php
$begun = microtime(true);
register_shutdown_function(function () use ($begun) { echo microtime(true) - $begun < 20 ? "shutdown\n" : "too late\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; exit(3); };
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest($f);
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->exit(30);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called
shutdown
