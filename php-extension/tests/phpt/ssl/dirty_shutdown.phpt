--TEST--
A connection that ends without close_notify is an error, unless that is allowed
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
$server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_CERT => $file]);
$client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
unlink($file);
foreach ([null, true, false, 1, 0] as $allow) {
    [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($near, false);
    stream_set_blocking($far, false);
    $accepting = EventBufferEvent::sslSocket($base, $far, $server, EventBufferEvent::SSL_ACCEPTING);
    $connecting = EventBufferEvent::sslSocket($base, $near, $client, EventBufferEvent::SSL_CONNECTING);
    if ($allow !== null) {
        $connecting->allow_ssl_dirty_shutdown = $allow;
    }
    $accepting->setCallbacks(null, null, function ($accepting, $what) use ($far) {
        if ($what === EventBufferEvent::CONNECTED) {
            $accepting->write('all');
        }
    });
    $connecting->setCallbacks(function ($connecting) use ($far) {
        echo $connecting->read(10), ', ';
        stream_socket_shutdown($far, STREAM_SHUT_WR); // not by TLS
    }, null, function ($connecting, $what) use ($base) {
        if ($what !== EventBufferEvent::CONNECTED) {
            echo $what, "\n";
            $base->stop();
        }
    });
    echo var_export($connecting->allow_ssl_dirty_shutdown, true), ': ';
    $accepting->enable(Event::READ);
    $connecting->enable(Event::READ);
    $base->exit(30);
    $base->loop();
}
?>
--EXPECT--
false: all, 33
true: all, 17
false: all, 33
true: all, 17
false: all, 33
