--TEST--
A reply in chunks
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base); for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
function ask($base, $port, $text) { $c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, $text); $r = new Event($base, $c, Event::READ | Event::PERSIST, function ($c) use (&$got, $base) { $part = fread($c, 10000); $got .= $part; if ($part === "") $base->exit(); }); $r->add(30); $base->loop(); return $got; }
$http->setDefaultCallback(function ($req) use ($base) { $req->sendReplyStart(200, 'OK'); $n = 0; $GLOBALS['t'] = $t = Event::timer($base, function () use ($req, &$n, &$t) { $b = new EventBuffer; $b->add("part " . ++$n . "\n"); $req->sendReplyChunk($b); if ($n < 3) $t->add(0.01); else { $req->sendReplyEnd(); $GLOBALS['t'] = $t = null; } }); $t->add(0.01); });
echo substr(strstr(ask($base, $port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "\r\n\r\n"), 4);
?>
--EXPECT--
7
part 1

7
part 2

7
part 3

0
