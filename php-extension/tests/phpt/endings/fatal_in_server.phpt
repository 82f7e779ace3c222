--TEST--
A fatal error in the callback of a server ends the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
$begun = microtime(true);
register_shutdown_function(function () use ($begun) { echo microtime(true) - $begun < 20 ? "shutdown\n" : "too late\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; trigger_error("stop", E_USER_ERROR); };
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback($f);
$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET / HTTP/1.0\r\n\r\n");
$base->exit(30);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called
%A
Fatal error: stop in %s on line %d
shutdown
