--TEST--
A buffer event that no variable holds is not collected while it connects
--FILE--
<?php
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
$connect = function (string $how, callable $begin) use ($base) {
    $bev = new EventBufferEvent($base, null, EventBufferEvent::OPT_CLOSE_ON_FREE);
    $bev->setCallbacks(null, null, function ($given, $what) use (&$bev, $how) {
        var_dump($given === $bev);
        echo "$how: $what\n";
    });
    var_dump($begin($bev));
    return WeakReference::create($bev);
};
$held = [
    $connect('connect', fn ($bev) => $bev->connect("127.0.0.1:$port")),
    $connect('connectHost', fn ($bev) => $bev->connectHost(null, 'localhost', $port, EventUtil::AF_INET)),
];
gc_collect_cycles();
$base->loop();
gc_collect_cycles();
var_dump($held[0]->get(), $held[1]->get());

$connect('never begun', fn ($bev) => true);
var_dump(gc_collect_cycles() > 0);
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
connect: 128
bool(true)
connectHost: 128
NULL
NULL
bool(true)
bool(true)
