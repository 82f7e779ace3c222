--TEST--
A listener's address may have a host name
--FILE--
<?php
$base = new EventBase;
$listener = new EventListener($base, function ($l, $fd) use ($base) {
    echo "accepted\n";
    $base->exit();
}, null, EventListener::OPT_CLOSE_ON_FREE, 5, 'localhost:0');
$listener->getSocketName($address, $port);
var_dump(in_array($address, ['127.0.0.1', '::1'], true));
$client = stream_socket_client('tcp://' . ($address === '::1' ? '[::1]' : $address) . ":$port");
$base->loop();
try {
    new EventListener($base, function () {}, null, 0, 5, 'no-such-host.invalid:0');
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECTF--
bool(true)
accepted
Cannot resolve no-such-host.invalid: %s
