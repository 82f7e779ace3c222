--TEST--
A certificate that nobody vouches for is refused when verification is asked for
--SKIPIF--
<?php if (!extension_loaded('openssl')) die('skip needs openssl'); ?>
--FILE--
<?php
$key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']); $csr = openssl_csr_new(['commonName' => 'localhost'], $key); $cert = openssl_csr_sign($csr, null, $key, 1); $file = tempnam(sys_get_temp_dir(), 'pem'); openssl_x509_export($cert, $c); openssl_pkey_export($key, $k); file_put_contents($file, $c . $k);
$base = new EventBase; $server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_CERT => $file]); unlink($file);
foreach ([[EventSslContext::OPT_VERIFY_PEER => true], [EventSslContext::OPT_VERIFY_PEER => true, EventSslContext::OPT_ALLOW_SELF_SIGNED => true]] as $options) { $client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, $options);
[$x, $y] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); foreach ([$x, $y] as $s) stream_set_blocking($s, false); $a = EventBufferEvent::sslSocket($base, $x, $server, EventBufferEvent::SSL_ACCEPTING); $b = EventBufferEvent::sslSocket($base, $y, $client, EventBufferEvent::SSL_CONNECTING); $b->setCallbacks(null, null, function ($b, $what) use ($base) { echo $what == EventBufferEvent::CONNECTED ? "connected\n" : 'refused: ' . strstr($b->sslError(), 'certificate verify failed') . "\n"; $base->exit(); }); $a->enable(Event::READ); $b->enable(Event::READ); $base->exit(30); $base->loop(); }
?>
--EXPECT--
refused: certificate verify failed (self-signed certificate)
connected
