--TEST--
What setSocketOption sets
--SKIPIF--
<?php if (!extension_loaded('sockets')) die('skip needs sockets'); ?>
--FILE--
<?php
$stream = stream_socket_server('tcp://127.0.0.1:0');
$socket = socket_import_stream($stream);
$all = [
    [EventUtil::SO_LINGER, ['l_onoff' => 1, 'l_linger' => 7], SO_LINGER],
    [EventUtil::SO_LINGER, ['l_onoff' => 0, 'l_linger' => 7], SO_LINGER],
    [EventUtil::SO_RCVTIMEO, ['sec' => 2, 'usec' => 500_000], SO_RCVTIMEO],
    [EventUtil::SO_KEEPALIVE, true, SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, false, SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, ' 1 ', SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, 0.9, SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, '1 second', SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, '-0.9e0', SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, '1.', SO_KEEPALIVE],
    [EventUtil::SO_KEEPALIVE, 'x1', SO_KEEPALIVE],
];
foreach ($all as [$option, $value, $read]) {
    var_dump(EventUtil::setSocketOption($stream, EventUtil::SOL_SOCKET, $option, $value));
    $set = socket_get_option($socket, SOL_SOCKET, $read);
    echo json_encode(is_array($set) && !($set['l_onoff'] ?? true) ? 'off' : $set), "\n";
}
?>
--EXPECT--
bool(true)
{"l_onoff":1,"l_linger":7}
bool(true)
"off"
bool(true)
{"sec":2,"usec":500000}
bool(true)
1
bool(true)
0
bool(true)
1
bool(true)
0
bool(true)
1
bool(true)
0
bool(true)
1
bool(true)
0
