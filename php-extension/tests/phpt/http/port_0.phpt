--TEST--
Port 0: the connection can be made, its requests fail
--FILE--
<?php
$base = new EventBase;
$connection = new EventHttpConnection($base, null, '127.0.0.1', 0);
$request = new EventHttpRequest(function () { echo "called\n"; });
var_dump($connection->makeRequest($request, EventHttpRequest::CMD_GET, '/'));
$base->loop();
?>
--EXPECTF--
Warning: EventHttpConnection::makeRequest(): there is no port 0 to connect to in %s on line %d
bool(false)
