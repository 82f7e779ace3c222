--TEST--
Other objects are collected when they cannot call any more
--FILE--
<?php
require __DIR__ . '/cycles.inc';
$base = new EventBase;
$silent = stream_socket_server('tcp://127.0.0.1:0'); // accepts nothing
$port = (int) substr(strrchr(stream_socket_get_name($silent, false), ':'), 1);
$listener = function ($name, $flags = 0) use ($base) {
    $listener = new EventListener($base, function () use (&$listener, &$witness) {}, null, $flags, -1, '127.0.0.1:0');
    $witness = hold($name, $listener);
    return $listener;
};
$listener('listener made disabled', EventListener::OPT_DISABLED);
$listener('listener that is disabled')->disable();
$listener('listener that is disabled later');
$disabled_later = $held['listener that is disabled later'];

(function ($name) use ($base, $port, &$request) {
    $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
    $connection->setCloseCallback(function () use (&$connection, &$witness) {});
    $request = new EventHttpRequest(function () {});
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    $witness = hold($name, $connection);
})('client whose request is cancelled');

(function ($name) use ($base, $port, &$dropped) {
    $dropped = new EventHttpConnection($base, null, '127.0.0.1', $port);
    $request = new EventHttpRequest(function () use (&$request, &$witness) {});
    $dropped->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    $witness = hold($name, $request);
})('request of a client that goes');

(function ($name) use ($base) {
    $event = Event::timer($base, 'no_such_function');
    $event->data = [$event, hold($name, $event)];
    $event->add(0.01);
})('timer with nothing to call');

@turn($base, 0);
gc_collect_cycles(); // leaves alone what is pending
$disabled_later->get()->disable();
$request->cancel();
unset($dropped);
@turn($base);
collect_all();
?>
--EXPECT--
listener made disabled: collected
listener that is disabled: collected
listener that is disabled later: collected
client whose request is cancelled: collected
request of a client that goes: collected
timer with nothing to call: collected
