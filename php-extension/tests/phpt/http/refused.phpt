--TEST--
Requests that two servers could read in two ways are refused
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base); for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
function ask($base, $port, $text) { $c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, $text); $r = new Event($base, $c, Event::READ | Event::PERSIST, function ($c) use (&$got, $base) { $part = fread($c, 10000); $got .= $part; if ($part === "") $base->exit(); }); $r->add(30); $base->loop(); return $got; }
$http->setDefaultCallback(function ($req) { echo "never\n"; $req->sendReply(200, 'OK'); });
foreach (["GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n"] as $bad) echo strtok(ask($base, $port, $bad), "\r"), "\n";
?>
--EXPECT--
HTTP/1.1 400 Bad Request
HTTP/1.1 400 Bad Request
HTTP/1.1 400 Bad Request
HTTP/1.1 400 Bad Request
