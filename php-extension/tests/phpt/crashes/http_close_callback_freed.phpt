--TEST--
A connection that is dropped while it has a close callback
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves a cycle at the end to its allocator'); ?>
--FILE--
<?php
$base = new EventBase; $server = stream_socket_server('tcp://127.0.0.1:0'); $port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
$c = new EventHttpConnection($base, null, '127.0.0.1', $port); $c->setCloseCallback(function () { echo "closed\n"; });
$r = new EventHttpRequest(function () { echo "completed\n"; }); $r->addHeader('Host', 'x', EventHttpRequest::OUTPUT_HEADER);
$c->makeRequest($r, EventHttpRequest::CMD_GET, '/'); $base->exit(0.05); $base->loop(); unset($c); echo "end\n";
?>
--EXPECT--
end
