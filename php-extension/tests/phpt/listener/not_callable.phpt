--TEST--
A connection whose callback is not callable is closed
--FILE--
<?php
$base = new EventBase;
$listener = new EventListener($base, 'no_such_function', null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$listener->getSocketName($address, $port);
$client = stream_socket_client("tcp://$address:$port");
$base->loop(EventBase::LOOP_ONCE);
stream_set_timeout($client, 5);
var_dump(fread($client, 1), feof($client));
?>
--EXPECTF--

Warning: EventBase::loop(): The callback of EventListener is not callable in %s on line %d
string(0) ""
bool(true)
