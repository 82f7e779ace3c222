--TEST--
A context's versions, and a certificate that is assigned to it
--SKIPIF--
<?php if (!extension_loaded('openssl')) die('skip needs openssl'); ?>
--FILE--
<?php
$key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
$certificate = openssl_csr_sign(openssl_csr_new(['commonName' => 'localhost'], $key), null, $key, 1);
openssl_x509_export($certificate, $public);
openssl_pkey_export($key, $secret);
$file = tempnam(sys_get_temp_dir(), 'pem');
file_put_contents($file, $public . $secret);
$base = new EventBase;
$server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_PK => $file]);
$server->local_cert = $file;
$settings = [
    'none' => fn ($client) => true,
    'a maximum' => fn ($client) => $client->setMaxProtoVersion(EventSslContext::TLS1_2_VERSION),
    'a minimum above that of the server' => function ($client) use ($server) {
        $server->setMaxProtoVersion(EventSslContext::TLS1_2_VERSION);
        return $client->setMinProtoVersion(EventSslContext::TLS1_2_VERSION + 1);
    },
];
foreach ($settings as $name => $set) {
    $client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
    echo "$name: ", var_export($set($client), true), "\n";
    [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($near, false);
    stream_set_blocking($far, false);
    $accepting = EventBufferEvent::sslSocket($base, $far, $server, EventBufferEvent::SSL_ACCEPTING);
    $connecting = EventBufferEvent::sslSocket($base, $near, $client, EventBufferEvent::SSL_CONNECTING);
    $connecting->setCallbacks(null, null, function ($connecting, $what) use ($base) {
        echo $what === EventBufferEvent::CONNECTED ? $connecting->sslGetProtocol() : 'refused', "\n";
        $base->stop();
    });
    $accepting->enable(Event::READ);
    $connecting->enable(Event::READ);
    $base->exit(30);
    $base->loop();
}
unlink($file);
?>
--EXPECT--
none: true
TLSv1.3
a maximum: true
TLSv1.2
a minimum above that of the server: true
refused
