--TEST--
A request is freed with its connection, and its callback is not called
--FILE--
<?php
class Released
{
    function __destruct()
    {
        echo "released\n";
    }
}
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest(function () { echo "completed\n"; }, new Released);
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
unset($request);
$base->loop(EventBase::LOOP_NONBLOCK);
echo "connection goes\n";
unset($connection);
$base->loop(EventBase::LOOP_NONBLOCK);
echo "end\n";
?>
--EXPECT--
connection goes
released
end
