--TEST--
Options of a TLS context are taken as PHP converts them
--SKIPIF--
<?php if (!extension_loaded('openssl')) die('skip needs openssl'); ?>
--FILE--
<?php
$key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
$certificate = openssl_csr_sign(openssl_csr_new(['commonName' => 'localhost'], $key), null, $key, 1);
$file = tempnam(sys_get_temp_dir(), 'pem');
openssl_x509_export($certificate, $certificate_text);
openssl_pkey_export($key, $key_text);
file_put_contents($file, $certificate_text . $key_text);
$certified = [EventSslContext::OPT_LOCAL_CERT => $file];

/** Whether a client with this option shakes hands with a server whose certificate nobody vouches for. */
$connects = function (mixed $verify) use ($certified) {
    $base = new EventBase;
    [$one, $other] = EventBufferEvent::createPair($base);
    $server = new EventSslContext(EventSslContext::TLS_SERVER_METHOD, $certified);
    $client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, [EventSslContext::OPT_VERIFY_PEER => $verify]);
    $accepting = EventBufferEvent::createSslFilter($one, $server, EventBufferEvent::SSL_ACCEPTING);
    $connecting = EventBufferEvent::createSslFilter($other, $client, EventBufferEvent::SSL_CONNECTING);
    $connecting->setCallbacks(null, null, function ($connecting, $what) use ($base, &$connected) {
        $connected = $what === EventBufferEvent::CONNECTED;
        $base->stop();
    });
    $accepting->enable(Event::READ);
    $connecting->enable(Event::READ);
    $base->loop();
    return $connected;
};
foreach ([true, 1, '1', 0.5, [1], new stdClass, false, 0, '0', '', 0.0, null] as $verify) {
    echo json_encode($verify), ': ', $connects($verify) ? 'not verified' : 'verified', "\n";
}

foreach ([[EventSslContext::OPT_VERIFY_DEPTH => '9'], [EventSslContext::OPT_VERIFY_DEPTH => 9.5],
    [EventSslContext::OPT_VERIFY_DEPTH => true], [EventSslContext::OPT_VERIFY_DEPTH => null],
    [EventSslContext::OPT_PASSPHRASE => null] + $certified, [EventSslContext::OPT_PASSPHRASE => 5] + $certified,
] as $options) {
    new EventSslContext(EventSslContext::TLS_SERVER_METHOD, $options);
}
unlink($file);
echo "made\n";
?>
--EXPECT--
true: verified
1: verified
"1": verified
0.5: verified
[1]: verified
{}: verified
false: not verified
0: not verified
"0": not verified
"": not verified
0: not verified
null: not verified
made
