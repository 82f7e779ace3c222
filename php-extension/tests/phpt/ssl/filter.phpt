--TEST--
What is under a TLS filter needs no variable, also during the handshake, and goes with the filter
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
foreach (['filter', 'socket'] as $kind) {
    [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($near, false);
    stream_set_blocking($far, false);
    $accepting = EventBufferEvent::sslSocket($base, $far, $server, EventBufferEvent::SSL_ACCEPTING);
    $accepting->setCallbacks(function ($accepting) { $accepting->write(strtoupper($accepting->read(100))); }, null, null);
    $accepting->enable(Event::READ);
    $bev = $kind === 'socket'
        ? EventBufferEvent::sslSocket($base, $near, $client, EventBufferEvent::SSL_CONNECTING)
        : EventBufferEvent::createSslFilter(new EventBufferEvent($base, $near), $client, EventBufferEvent::SSL_CONNECTING);
    unset($near);
    $bev->setCallbacks(function ($given) use ($base) {
        echo $given->read(100), "\n";
        $base->stop();
    }, null, function ($given, $what) use (&$bev) {
        var_dump($given === $bev, $what);
        $given->write('secret');
        $given->enable(Event::READ);
    });
    $held = WeakReference::create($bev);
    unset($bev);
    gc_collect_cycles();
    $base->exit(30);
    $base->loop();
    $held->get()->disable(Event::READ);
    gc_collect_cycles();
    var_dump($held->get());
    $base->exit(0.1);
    $base->loop();
    var_dump(feof($far) || fread($far, 1000) === '' && feof($far));
}
?>
--EXPECT--
bool(true)
int(128)
SECRET
NULL
bool(true)
bool(true)
int(128)
SECRET
NULL
bool(true)
