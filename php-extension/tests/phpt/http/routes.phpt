--TEST--
Routes, their data, the default and 404
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base); for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
function ask($base, $port, $text) { $c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, $text); $r = new Event($base, $c, Event::READ | Event::PERSIST, function ($c) use (&$got, $base) { $part = fread($c, 10000); $got .= $part; if ($part === "") $base->exit(); }); $r->add(30); $base->loop(); return $got; }
$http->setCallback('/a b', function ($req, $arg) { $b = new EventBuffer; $b->add("route $arg " . $req->getUri()); $req->sendReply(200, 'OK', $b); }, 'one');
var_dump(@$http->setCallback('/a b', function () {}));
echo substr(ask($base, $port, "GET /a%20b?x HTTP/1.0\r\n\r\n"), -18), "\n"; echo strtok(ask($base, $port, "GET /none HTTP/1.0\r\n\r\n"), "\r"), "\n";
$http->setDefaultCallback(function ($req) { $req->sendError(418, 'Teapot'); }); echo strtok(ask($base, $port, "GET /none HTTP/1.0\r\n\r\n"), "\r"), "\n";
?>
--EXPECT--
bool(false)
route one /a%20b?x
HTTP/1.0 404 Not Found
HTTP/1.0 418 Teapot
