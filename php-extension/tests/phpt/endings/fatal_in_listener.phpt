--TEST--
A fatal error in the callback of a listener ends the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
$begun = microtime(true);
register_shutdown_function(function () use ($begun) { echo microtime(true) - $begun < 20 ? "shutdown\n" : "too late\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; trigger_error("stop", E_USER_ERROR); };
$listener = new EventListener($base, $f, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$client = stream_socket_client("tcp://127.0.0.1:$port");
$base->exit(30);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called
%A
Fatal error: stop in %s on line %d
shutdown
