--TEST--
A silent peer has the time that a server or a client gives it
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setTimeout(1);
$client = stream_socket_client("tcp://127.0.0.1:$port");
$left = new Event($base, $client, Event::READ, function ($client, $what) use ($base) {
    var_dump($what === Event::READ && fread($client, 10) === '' && feof($client));
    $base->stop();
});
$left->add(20);
$base->loop();

$server = stream_socket_server('tcp://127.0.0.1:0'); // which answers nothing
$port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$connection->setTimeout(1);
$request = new EventHttpRequest(function ($answer) use ($base) {
    var_dump($answer);
    $base->stop();
});
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->exit(20);
$base->loop();
?>
--EXPECT--
bool(true)
NULL
