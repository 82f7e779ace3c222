--TEST--
A TLS filter frees what is under it with OPT_CLOSE_ON_FREE alone; options that do not go together
--FILE--
<?php
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
foreach ([0, EventBufferEvent::OPT_CLOSE_ON_FREE] as $options) {
    [$under] = EventBufferEvent::createPair($base);
    $tls = EventBufferEvent::createSslFilter($under, $context, EventBufferEvent::SSL_CONNECTING, $options);
    $tls->free();
    var_dump(@$under->write('text'));
}
$unlock = EventBufferEvent::OPT_UNLOCK_CALLBACKS;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
foreach ([null, $near] as $socket) {
    var_dump(@EventBufferEvent::sslSocket($base, $socket, $context, EventBufferEvent::SSL_CONNECTING, $unlock));
}
?>
--EXPECT--
bool(true)
bool(false)
bool(false)
bool(false)
