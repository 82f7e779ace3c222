--TEST--
EventListener::free lets go of the callbacks and the data, although the object stays
--FILE--
<?php
$base = new EventBase;
$callback = function ($listener) {
    $listener->free();
    echo "called\n";
};
$error = function () {};
$data = new stdClass;
$flags = EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE;
$listener = new EventListener($base, $callback, $data, $flags, -1, '127.0.0.1:0');
$listener->setErrorCallback($error);
$held = array_map(WeakReference::create(...), [$callback, $error, $data]);
unset($callback, $error, $data);
$listener->getSocketName($address, $port);
$client = stream_socket_client("tcp://$address:$port");
$base->loop();
foreach ($held as $one) {
    var_dump($one->get());
}
var_dump($listener->setCallback('strlen'));
?>
--EXPECTF--
called
NULL
NULL
NULL

Warning: EventListener::setCallback(): the listener was already freed in %s on line %d
bool(false)
