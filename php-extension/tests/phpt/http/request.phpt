--TEST--
What a request holds
--FILE--
<?php
$base = new EventBase; $http = new EventHttp($base); for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
function ask($base, $port, $text) { $c = stream_socket_client("tcp://127.0.0.1:$port"); fwrite($c, $text); $r = new Event($base, $c, Event::READ | Event::PERSIST, function ($c) use (&$got, $base) { $part = fread($c, 10000); $got .= $part; if ($part === "") $base->exit(); }); $r->add(30); $base->loop(); return $got; }
$http->setAllowedMethods(EventHttpRequest::CMD_PUT);
$http->setDefaultCallback(function ($req) { var_dump($req->getCommand() === EventHttpRequest::CMD_PUT, $req->getHost(), $req->findHeader('x-a', EventHttpRequest::INPUT_HEADER), @$req->findHeader('x', 9), $req->findHeader('x-a', 3), $req->getInputHeaders()['X-A'], $req->getInputBuffer()->read(100), $req->addHeader('X-Reply', 'yes', EventHttpRequest::OUTPUT_HEADER), @$req->addHeader('X-Bad', "a\r\nb", EventHttpRequest::OUTPUT_HEADER), $req->getOutputHeaders(), $req->removeHeader('x-none', EventHttpRequest::OUTPUT_HEADER)); $req->getConnection()->getPeer($a, $p); var_dump($a, is_int($p)); $req->sendReply(201, 'Created'); });
var_dump(strpos(ask($base, $port, "PUT / HTTP/1.1\r\nHost: h.example:80\r\nX-A: v\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody"), 'X-Reply: yes') > 0);
echo strtok(ask($base, $port, "GET / HTTP/1.0\r\n\r\n"), "\r"), "\n";
?>
--EXPECT--
bool(true)
string(9) "h.example"
string(1) "v"
bool(false)
string(1) "v"
string(1) "v"
string(4) "body"
bool(true)
bool(false)
array(1) {
  ["X-Reply"]=>
  string(3) "yes"
}
bool(false)
string(9) "127.0.0.1"
bool(true)
bool(true)
HTTP/1.0 501 Not Implemented
