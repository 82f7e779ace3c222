--TEST--
A context may go before the handshake verifies a self-signed peer
--SKIPIF--
<?php if (!extension_loaded('openssl')) die('skip needs openssl'); ?>
--FILE--
<?php
$key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
$cert = openssl_csr_sign(openssl_csr_new(['commonName' => 'localhost'], $key), null, $key, 1);
$file = tempnam(sys_get_temp_dir(), 'pem');
openssl_x509_export($cert, $certificate);
openssl_pkey_export($key, $secret);
file_put_contents($file, $certificate . $secret);
$base = new EventBase;
$server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_CERT => $file]);
$client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, [
    EventSslContext::OPT_VERIFY_PEER => true,
    EventSslContext::OPT_ALLOW_SELF_SIGNED => true,
]);
unlink($file);
[$x, $y] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
foreach ([$x, $y] as $stream) {
    stream_set_blocking($stream, false);
}
$accepting = EventBufferEvent::sslSocket($base, $x, $server, EventBufferEvent::SSL_ACCEPTING);
$connecting = EventBufferEvent::sslSocket($base, $y, $client, EventBufferEvent::SSL_CONNECTING);
unset($server, $client);
$connecting->setCallbacks(null, null, function ($bev, $what) use ($base) {
    var_dump($what === EventBufferEvent::CONNECTED);
    $base->exit();
});
$accepting->enable(Event::READ);
$connecting->enable(Event::READ);
$base->exit(30);
$base->loop();
?>
--EXPECT--
bool(true)
