--TEST--
allow_ssl_dirty_shutdown takes what PHP takes for true, and says nothing of a buffer event without TLS
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
$plain->allow_ssl_dirty_shutdown = true;
echo "end\n";
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
end
