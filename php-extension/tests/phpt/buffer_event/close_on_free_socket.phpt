--TEST--
OPT_CLOSE_ON_FREE closes a Socket although a variable has it
--FILE--
<?php
function make(EventBase $base, int $options, bool $import): array
{
    if ($import) {
        [$near, $peer] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        [$near, $peer] = [socket_import_stream($near), socket_import_stream($peer)];
    } else {
        socket_create_pair(AF_UNIX, SOCK_STREAM, 0, $pair);
        [$near, $peer] = $pair;
    }
    socket_set_nonblock($peer);
    return [$near, $peer, new EventBufferEvent($base, $near, $options)];
}

$base = new EventBase;
foreach ([false, true] as $import) {
    [$near, $peer, $bev] = make($base, EventBufferEvent::OPT_CLOSE_ON_FREE, $import);
    var_dump(@socket_read($peer, 1)); // nothing has come
    $bev->free();
    $base->loop(EventBase::LOOP_NONBLOCK);
    var_dump(socket_read($peer, 1)); // the end
    try {
        socket_write($near, 'x');
    } catch (Error $error) {
        echo $error->getMessage(), "\n";
    }
    $other = fopen(__FILE__, 'r'); // which gets the number
    unset($near, $bev);
    var_dump(fread($other, 5));

    [$near, $peer, $bev] = make($base, 0, $import);
    $bev->free();
    $base->loop(EventBase::LOOP_NONBLOCK);
    var_dump(socket_write($near, 'x'), socket_read($peer, 1));
}
[$near, $peer, $bev] = make($base, EventBufferEvent::OPT_CLOSE_ON_FREE, false); // goes with the request
?>
--EXPECT--
bool(false)
string(0) ""
socket_write(): Argument #1 ($socket) has already been closed
string(5) "<?php"
int(1)
string(1) "x"
bool(false)
string(0) ""
socket_write(): Argument #1 ($socket) has already been closed
string(5) "<?php"
int(1)
string(1) "x"
