--TEST--
getSocketName takes an address alone
--FILE--
<?php
$base = new EventBase;
$listener = new EventListener($base, function () {}, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
var_dump($listener->getSocketName($address), $address);
var_dump($listener->getSocketName($address, $port), $address, is_int($port));
$port = 'as it was';
$path = sys_get_temp_dir() . '/php-event-' . getmypid();
$listener = new EventListener($base, function () {}, null, EventListener::OPT_CLOSE_ON_FREE, -1, "unix:$path");
unlink($path);
var_dump($listener->getSocketName($address), $address === $path);
var_dump($listener->getSocketName($address, $port), $port);
try {
    $listener->getSocketName();
} catch (ArgumentCountError $error) {
    echo get_class($error), "\n";
}
?>
--EXPECT--
bool(true)
string(9) "127.0.0.1"
bool(true)
string(9) "127.0.0.1"
bool(true)
bool(true)
bool(true)
bool(true)
string(9) "as it was"
ArgumentCountError
