--TEST--
What a client's completion callback gets
--FILE--
<?php
$s = stream_socket_server('tcp://127.0.0.1:0'); $port = (int) substr(strrchr(stream_socket_get_name($s, false), ':'), 1); fclose($s); $base = new EventBase;
$c = new EventHttpConnection($base, null, '127.0.0.1', $port); $r = new EventHttpRequest(function ($r) use ($base) { var_dump($r ? $r->getResponseCode() : null); $base->exit(); }); $r->addHeader('Host', 'x', EventHttpRequest::OUTPUT_HEADER); var_dump($c->makeRequest($r, EventHttpRequest::CMD_GET, '/')); $base->exit(30); $base->loop();
$c->getPeer($a, $p); var_dump($a, $p === $port, $c->getBase() === $base); $c->setTimeout(1); $c->setRetries(1); $c->setMaxBodySize(10); $c->setMaxHeadersSize(100); $c->setLocalAddress('127.0.0.1');
?>
--EXPECT--
bool(true)
int(0)
string(9) "127.0.0.1"
bool(true)
bool(true)
