--TEST--
An exception after the listener was freed in its callback ends the loop at once
--FILE--
<?php
$base = new EventBase;
$flags = EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE;
$listener = new EventListener($base, function ($listener) {
    $listener->free();
    throw new Exception('thrown');
}, null, $flags, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$client = stream_socket_client("tcp://$address:$port");
$timer = Event::timer($base, function () { echo "the timer fires\n"; });
$timer->add(0.01);
try {
    $base->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
var_dump($base->gotStop(), $timer->pending);
$base->loop();
?>
--EXPECTF--

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
thrown
bool(true)
bool(true)
the timer fires
