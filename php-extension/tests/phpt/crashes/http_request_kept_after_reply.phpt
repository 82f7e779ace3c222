--TEST--
A server request that is kept after its reply is refused
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($req) use (&$kept) { $kept = [$req, $req->getInputBuffer(), $req->getBufferEvent(), $req->getConnection()]; $req->sendReply(200, 'OK'); });
$c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
$r = new Event($base, $c, Event::READ, function ($c) use ($base) { fread($c, 1000); fclose($c); $base->exit(0.05); });
$r->add(30); $base->loop();
var_dump(@$kept[0]->getUri(), @$kept[0]->sendReply(200, 'again'), $kept[1]->length, @$kept[2]->getEnabled());
@$kept[3]->getPeer($a, $p); echo "alive\n";
?>
--EXPECT--
bool(false)
bool(false)
int(0)
bool(false)
alive
