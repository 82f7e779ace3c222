--TEST--
A host name without a DNS base is looked up: client and server
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$s = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) substr(strrchr(stream_socket_get_name($s, false), ':'), 1);
fclose($s);
var_dump($http->bind('localhost', $port));
$http->setDefaultCallback(function ($r) { $r->sendReply(200, 'OK'); });
$connection = new EventHttpConnection($base, null, 'localhost', $port);
$connection->getPeer($name, $number);
var_dump($name, $number === $port);
$request = new EventHttpRequest(function ($r) use ($base) {
    var_dump($r->getResponseCode());
    $base->exit();
});
var_dump($connection->makeRequest($request, EventHttpRequest::CMD_GET, '/'));
$base->loop();
var_dump($http->bind('no-such-host.invalid', 0));
try {
    new EventHttpConnection($base, null, 'no-such-host.invalid', 80);
} catch (EventException $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECTF--
bool(true)
string(9) "localhost"
bool(true)
bool(true)
int(200)

Warning: EventHttp::bind(): Cannot resolve no-such-host.invalid: %s in %s on line %d
bool(false)
Cannot resolve no-such-host.invalid: %s
