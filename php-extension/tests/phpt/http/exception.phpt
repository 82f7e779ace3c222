--TEST--
An exception in a request's callback comes out of the loop
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base); for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($req) { $GLOBALS['kept'] = $req; throw new Exception('in http'); }); $c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, "GET / HTTP/1.0\r\n\r\n");
try { @$base->loop(); } catch (Exception $x) { echo $x->getMessage(), "\n"; } $kept->sendReply(200, 'OK'); $r = new Event($base, $c, Event::READ, function ($c) use ($base) { echo strtok(fread($c, 1000), "\r"), "\n"; $base->exit(); }); $r->add(30); $base->loop();
?>
--EXPECT--
in http
HTTP/1.0 200 OK
