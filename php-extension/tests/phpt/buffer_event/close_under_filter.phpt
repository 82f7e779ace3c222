--TEST--
EventBufferEvent::close of a filter closes the descriptor under it
--FILE--
<?php
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$filter = fn ($under) => EventBufferEvent::createSslFilter($under, $context, EventBufferEvent::SSL_CONNECTING);
foreach ([0, EventBufferEvent::OPT_CLOSE_ON_FREE] as $options) {
    [$stream, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($far, false);
    $bev = $filter(new EventBufferEvent($base, $stream, $options));
    var_dump($bev->close(), $bev->close());
    fread($far, 9);
    var_dump(feof($far));
}
var_dump($filter(EventBufferEvent::createPair($base)[0])->close());

// After free() nothing is closed.
[$stream, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($far, false);
$under = new EventBufferEvent($base, $stream);
$bev = $filter($under);
$bev->free();
var_dump($bev->close());
fread($far, 9);
var_dump(feof($far));
?>
--EXPECT--
bool(true)
bool(false)
bool(true)
bool(true)
bool(false)
bool(true)
bool(false)
bool(false)
bool(false)
