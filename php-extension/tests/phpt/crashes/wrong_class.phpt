--TEST--
An object of another class is refused wherever one of the extension's is taken
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$f = function () {};
$event = Event::timer($base, $f);
$buffer = new EventBuffer;
$bev = new EventBufferEvent($base);
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$connection = new EventHttpConnection($base, null, '127.0.0.1', 80);
$request = new EventHttpRequest($f);
$state = EventBufferEvent::SSL_CONNECTING;
$takes = [
    fn ($object) => new EventBase($object),
    fn ($object) => $base->set($object),
    fn ($object) => new Event($object, $near, Event::READ, $f),
    fn ($object) => new Event($object, null, Event::TIMEOUT, $f),
    fn ($object) => $event->set($object, $near),
    fn ($object) => $event->setTimer($object, $f),
    fn ($object) => Event::timer($object, $f),
    fn ($object) => Event::signal($object, 10, $f),
    fn ($object) => $buffer->addBuffer($object),
    fn ($object) => $buffer->prependBuffer($object),
    fn ($object) => $buffer->appendFrom($object, 1),
    fn ($object) => new EventBufferEvent($object),
    fn ($object) => EventBufferEvent::createPair($object),
    fn ($object) => EventBufferEvent::createSslFilter($object, $context, $state),
    fn ($object) => EventBufferEvent::createSslFilter($bev, $object, $state),
    fn ($object) => EventBufferEvent::sslSocket($object, $near, $context, $state),
    fn ($object) => EventBufferEvent::sslSocket($base, $near, $object, $state),
    fn ($object) => $bev->connectHost($object, '127.0.0.1', 80),
    fn ($object) => $bev->writeBuffer($object),
    fn ($object) => $bev->readBuffer($object),
    fn ($object) => new EventListener($object, $f, null, 0, -1, '127.0.0.1:0'),
    fn ($object) => new EventDnsBase($object, 0),
    fn ($object) => new EventHttp($object),
    fn ($object) => new EventHttp($base, $object),
    fn ($object) => new EventHttpConnection($object, null, '127.0.0.1', 80),
    fn ($object) => new EventHttpConnection($base, $object, '127.0.0.1', 80),
    fn ($object) => new EventHttpConnection($base, null, '127.0.0.1', 80, $object),
    fn ($object) => $connection->makeRequest($object, EventHttpRequest::CMD_GET, '/'),
    fn ($object) => $request->sendReply(200, 'OK', $object),
    fn ($object) => $request->sendReplyChunk($object),
];
foreach ([new stdClass, new EventHttp($base)] as $object) {
    foreach ($takes as $n => $take) {
        try {
            $take($object);
            echo "$n takes it\n";
        } catch (TypeError $e) {
            if (!str_ends_with($e->getMessage(), get_class($object) . ' given')) {
                echo $n, ' ', $e->getMessage(), "\n";
            }
        }
    }
}
echo "end\n";
?>
--EXPECT--
end
