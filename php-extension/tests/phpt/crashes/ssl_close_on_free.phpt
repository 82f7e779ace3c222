--TEST--
A TLS socket with and without OPT_CLOSE_ON_FREE is freed once
--FILE--
<?php
$base = new EventBase; $ctx = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
foreach ([EventBufferEvent::OPT_CLOSE_ON_FREE, 0] as $options) {
    [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $bev = EventBufferEvent::sslSocket($base, $a, $ctx, EventBufferEvent::SSL_CONNECTING, $options);
    $bev->enable(Event::READ); unset($a); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK);
    unset($bev); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK);
    stream_set_timeout($b, 2); var_dump(strlen(fread($b, 10000)) > 0);
}
unset($ctx); echo "end\n";
?>
--EXPECT--
bool(true)
bool(true)
end
