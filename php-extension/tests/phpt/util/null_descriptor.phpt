--TEST--
Null is no descriptor, but where a buffer event may do without one
--FILE--
<?php
$base = new EventBase;
$buffer = new EventBuffer;
$buffer->add('x');
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$calls = [
    'getSocketFd' => fn () => EventUtil::getSocketFd(null),
    'getSocketName' => fn () => EventUtil::getSocketName(null, $address, $port),
    'setSocketOption' => fn () => EventUtil::setSocketOption(null, EventUtil::SOL_SOCKET, EventUtil::SO_KEEPALIVE, 1),
    'write' => fn () => $buffer->write(null),
    'readFrom' => fn () => $buffer->readFrom(null),
    'accept' => fn () => (new EventHttp($base))->accept(null),
    'listener' => fn () => new EventListener($base, 'strlen', null, 0, -1, null),
    'event' => fn () => new Event($base, null, Event::READ, 'strlen'),
    'errno' => fn () => EventUtil::getLastSocketErrno(null),
    'buffer event' => fn () => get_class(new EventBufferEvent($base, null)),
    'TLS' => fn () => get_class(EventBufferEvent::sslSocket($base, null, $context, EventBufferEvent::SSL_CONNECTING)),
];
foreach ($calls as $name => $call) {
    try {
        $result = var_export($call(), true);
    } catch (Exception $e) {
        $result = $e->getMessage();
    }
    echo "$name: $result\n";
}
?>
--EXPECT--
getSocketFd: the argument is neither a stream, nor a Socket, nor a descriptor's number
getSocketName: the argument is neither a stream, nor a Socket, nor a descriptor's number
setSocketOption: the argument is neither a stream, nor a Socket, nor a descriptor's number
write: the argument is neither a stream, nor a Socket, nor a descriptor's number
readFrom: the argument is neither a stream, nor a Socket, nor a descriptor's number
accept: the argument is neither a stream, nor a Socket, nor a descriptor's number
listener: the argument is neither a stream, nor a Socket, nor a descriptor's number
event: the argument is neither a stream, nor a Socket, nor a descriptor's number
errno: 0
buffer event: 'EventBufferEvent'
TLS: 'EventBufferEvent'
