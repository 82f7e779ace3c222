--TEST--
A message that tells to call a method gives its name in PHP
--SKIPIF--
<?php if (!extension_loaded('pcntl')) die('skip needs pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
$pid = pcntl_fork();
if ($pid === 0) { $base->loop(); $base->reInit(); exit(0); } // the child can free it then
pcntl_waitpid($pid, $status);
Event::timer($base, 'strlen')->setPriority(3);
$config = new EventConfig;
foreach (['poll', 'select'] as $method) $config->avoidMethod($method);
(new Event(new EventBase($config), fopen(__FILE__, 'r'), Event::READ, 'strlen'))->add();

$base = new EventBase;
$http = new EventHttp($base);
$listener = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($listener);
$http->setDefaultCallback(function ($request) use ($base) {
    $request->sendReplyChunk(new EventBuffer);
    $request->sendReplyStart(200, 'OK');
    $request->sendReply(200, 'OK');
    $request->sendReplyEnd();
    $base->stop();
});
$client = stream_socket_client('tcp://' . stream_socket_get_name($listener, false));
fwrite($client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
$base->loop();
(new EventBufferEvent($base))->connect('a.test:80');
(new EventBufferEvent($base))->connectHost(new EventDnsBase($base, 0), 'a.test', 80);
?>
--EXPECTF--
Warning: EventBase::loop(): %s reInit() on it first in %s on line %d

Warning: Event::setPriority(): %s EventBase::priorityInit in %s on line %d

Warning: Event::add(): %s EventConfig::avoidMethod("epoll") in %s on line %d

Warning: EventHttpRequest::sendReplyChunk(): %s sendReplyStart first in %s on line %d

Warning: EventHttpRequest::sendReply(): %s sendReplyChunk, end with sendReplyEnd in %s on line %d

Warning: EventBufferEvent::connect(): %s connectHost looks names up, %s in %s on line %d

Warning: EventBufferEvent::connectHost(): %s addNameserverIp or parseResolvConf in %s on line %d
