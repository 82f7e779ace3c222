--TEST--
allow_ssl_dirty_shutdown takes what PHP takes for true, and is true without TLS
--FILE--
<?php
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$tls = EventBufferEvent::sslSocket($base, null, $context, EventBufferEvent::SSL_CONNECTING);
foreach ([true, false, 1, 0, '1', '0', 'on', ''] as $value) {
    $tls->allow_ssl_dirty_shutdown = $value;
    echo var_export($value, true), ': ', var_export($tls->allow_ssl_dirty_shutdown, true), "\n";
}
$plain = new EventBufferEvent($base);
foreach ([true, false] as $value) {
    $plain->allow_ssl_dirty_shutdown = $value;
    var_dump($plain->allow_ssl_dirty_shutdown);
}
$plain->free();
var_dump($plain->allow_ssl_dirty_shutdown);
?>
--EXPECT--
true: true
false: false
1: true
0: false
'1': true
'0': false
'on': true
'': false
bool(true)
bool(true)
bool(false)
