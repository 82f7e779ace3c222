--TEST--
connectHost without a DNS base connects to an address of the family
--FILE--
<?php
set_error_handler(function (int $level, string $message) {
    echo $message, "\n";
    return true;
});
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
foreach ([EventUtil::AF_UNSPEC, EventUtil::AF_INET, EventUtil::AF_INET6] as $family) {
    $bev = new EventBufferEvent($base, null, 0, null, null, function ($bev, $what) { echo "$what\n"; });
    var_dump($bev->connectHost(null, '127.1', $port, $family)); // which the system's resolver takes for 127.0.0.1
    $base->loop();
}
?>
--EXPECT--
bool(true)
128
bool(true)
128
EventBufferEvent::connectHost(): 127.1 has no address of this family
bool(false)
