--TEST--
A fatal error in a destructor that runs while a connection is freed ends the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
class Data
{
    function __destruct()
    {
        echo "destroyed\n";
        trigger_error('stop', E_USER_ERROR);
    }
}
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$port = (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest(function () {}, new Data);
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
unset($request); // the connection has it
unset($connection);
echo "not reached\n";
?>
--EXPECTF--
destroyed
%A
Fatal error: stop in %s on line %d
shutdown
