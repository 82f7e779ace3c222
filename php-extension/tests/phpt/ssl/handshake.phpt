--TEST--
TLS between a server and a client
--SKIPIF--
<?php if (!extension_loaded('openssl')) die('skip needs openssl'); ?>
--FILE--
<?php
$key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']); $csr = openssl_csr_new(['commonName' => 'localhost'], $key); $cert = openssl_csr_sign($csr, null, $key, 1); $file = tempnam(sys_get_temp_dir(), 'pem'); openssl_x509_export($cert, $c); openssl_pkey_export($key, $k); file_put_contents($file, $c . $k);
$base = new EventBase; $server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_CERT => $file]); $client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []); unlink($file);
[$x, $y] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); foreach ([$x, $y] as $s) stream_set_blocking($s, false);
$a = EventBufferEvent::sslSocket($base, $x, $server, EventBufferEvent::SSL_ACCEPTING); $b = EventBufferEvent::sslSocket($base, $y, $client, EventBufferEvent::SSL_CONNECTING);
$a->setCallbacks(function ($a) { $a->write(strtoupper($a->read(100))); }, null, null); $b->setCallbacks(function ($b) use ($base) { echo $b->read(100), "\n"; $base->exit(); }, null, function ($b, $what) { if ($what == EventBufferEvent::CONNECTED) { echo "connected ", $b->sslGetProtocol(), "\n"; $b->write('secret'); } });
$a->enable(Event::READ); $b->enable(Event::READ); $base->exit(30); $base->loop(); var_dump($server->local_cert === $file, is_string($b->sslGetCipherName()), substr_count($b->sslGetCipherInfo(), "\n"));
?>
--EXPECT--
connected TLSv1.3
SECRET
bool(true)
bool(true)
int(1)
