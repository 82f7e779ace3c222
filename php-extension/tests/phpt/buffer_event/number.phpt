--TEST--
A descriptor that is given as a number is closed with OPT_CLOSE_ON_FREE alone
--FILE--
<?php
$base = new EventBase;
$listener = new EventListener($base, function ($listener, $fd) use ($base) {
    $GLOBALS['fd'] = $fd;
    $base->stop();
}, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
foreach ([0, EventBufferEvent::OPT_CLOSE_ON_FREE] as $options) {
    $make = [
        fn ($fd) => new EventBufferEvent($base, $fd, $options),
        fn ($fd) => EventBufferEvent::sslSocket($base, $fd, $context, EventBufferEvent::SSL_CONNECTING, $options),
    ];
    foreach ($make as $one) {
        $client = stream_socket_client("tcp://$address:$port");
        $base->loop();
        $bev = $one($fd);
        $bev->free();
        $base->loop(EventBase::LOOP_NONBLOCK | EventBase::LOOP_ONCE);
        stream_set_blocking($client, false);
        fread($client, 1000);
        var_dump(feof($client));
        if (!$options) {
            (new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE))->free();
        }
    }
}
?>
--EXPECT--
bool(false)
bool(false)
bool(true)
bool(true)
