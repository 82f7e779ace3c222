--TEST--
A Socket of EventUtil::createSocket knows whether its descriptor blocks: a stream made of it would wait otherwise
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$base = new EventBase;
$kept = [];
foreach ([0, EventListener::OPT_LEAVE_SOCKETS_BLOCKING] as $flag) {
    $accepted = function ($listener, $fd) use ($base, &$kept) {
        $stream = socket_export_stream(EventUtil::createSocket($fd));
        var_dump(stream_get_meta_data($stream)['blocked']);
        $kept[] = $stream;
        $base->exit();
    };
    $flags = EventListener::OPT_CLOSE_ON_FREE | $flag;
    $listener = new EventListener($base, $accepted, null, $flags, -1, '127.0.0.1:0');
    $listener->getSocketName($address, $port);
    $client = stream_socket_client("tcp://$address:$port");
    $base->loop();
    $stream = end($kept);
    if ($flag) {
        fwrite($client, 'late'); // a read waits for it, if it has to
        var_dump(fread($stream, 9));
    } else {
        var_dump(fread($stream, 9)); // nothing is there
    }
}
var_dump(EventUtil::createSocket(9999) instanceof Socket);
?>
--EXPECTF--
bool(false)
string(0) ""
bool(true)
string(4) "late"

Warning: EventUtil::createSocket(): The descriptor 9999 is no socket: %s in %s on line %d
bool(true)
