--TEST--
A request without Host has an empty host
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($req) { var_dump($req->getHost(), $req->getUri()); $req->sendReply(200, 'OK'); });
$c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, "GET /host HTTP/1.0\r\n\r\n");
$r = new Event($base, $c, Event::READ, function ($c) use ($base) { echo strtok(fread($c, 1000), "\r"), "\n"; $base->exit(); });
$r->add(30); $base->loop();
?>
--EXPECT--
string(0) ""
string(5) "/host"
HTTP/1.0 200 OK
