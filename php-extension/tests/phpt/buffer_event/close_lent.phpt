--TEST--
EventBufferEvent::close closes the stream, Socket or number that it was given without OPT_CLOSE_ON_FREE
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$makers = [
    'plain' => fn ($socket) => new EventBufferEvent($base, $socket),
    'TLS' => fn ($socket) => EventBufferEvent::sslSocket($base, $socket, $context, EventBufferEvent::SSL_CONNECTING),
];
foreach ($makers as $kind => $make) {
    [$stream, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($far, false);
    $bev = $make($stream);
    var_dump($bev->close(), fread($far, 9), feof($far), is_resource($stream), $bev->close());

    socket_create_pair(AF_UNIX, SOCK_STREAM, 0, $pair);
    $far = socket_export_stream($pair[1]);
    stream_set_blocking($far, false);
    $bev = $make($pair[0]);
    var_dump($bev->close(), fread($far, 9), feof($far));
}

// A number that a listener gave.
$listener = new EventListener($base, function ($listener, $number) use ($base, &$bev) {
    $bev = new EventBufferEvent($base, $number);
    var_dump($bev->close());
    $base->stop();
}, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$far = stream_socket_client("tcp://$address:$port");
$base->loop();
var_dump(fread($far, 9), feof($far));

// After free() nothing is closed.
[$stream, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($far, false);
$bev = new EventBufferEvent($base, $stream);
$bev->free();
var_dump($bev->close());
$base->loop(EventBase::LOOP_NONBLOCK);
var_dump(feof($far), is_resource($stream));
?>
--EXPECT--
bool(true)
string(0) ""
bool(true)
bool(false)
bool(false)
bool(true)
string(0) ""
bool(true)
bool(true)
string(0) ""
bool(true)
bool(false)
bool(false)
bool(true)
string(0) ""
bool(true)
bool(true)
string(0) ""
bool(true)
bool(false)
bool(false)
bool(true)
