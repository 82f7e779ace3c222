--TEST--
The close callback of a request's connection, which needs no variable, as in PHP's manual
--FILE--
<?php
class Data
{
    function __construct(public string $name) {}
    function __destruct()
    {
        echo "$this->name released\n";
    }
}
$base = new EventBase;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($request) {
    $connection = $request->getConnection();
    $connection->setCloseCallback(function ($connection, $data) {
        echo get_class($connection), " closed: $data->name\n";
    }, new Data($request->getUri()));
    $GLOBALS['bev'] = $request->getBufferEvent();
    var_dump($GLOBALS['bev']->enable(Event::READ));
    $request->sendReplyStart(200, 'OK');
    $chunk = new EventBuffer;
    $chunk->add('begun');
    $request->sendReplyChunk($chunk);
    $GLOBALS['base']->stop();
    if ($request->getUri() === '/complete') {
        $request->sendReplyEnd();
    } else {
        $GLOBALS['kept'] = $request;
    }
});
$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET /complete HTTP/1.1\r\nHost: a\r\n\r\n");
$base->loop();
fwrite($client, "GET /begun HTTP/1.1\r\nHost: a\r\n\r\n");
$base->loop(); // which replaces the callback of the same connection
gc_collect_cycles();
fclose($client);
$base->exit(0.3);
$base->loop();
var_dump(@$bev->enable(Event::READ));

$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET /server-goes HTTP/1.1\r\nHost: a\r\n\r\n");
$base->loop();
unset($kept, $http);
echo "end\n";
?>
--EXPECT--
bool(true)
/complete released
bool(true)
EventHttpConnection closed: /begun
/begun released
bool(false)
bool(true)
/server-goes released
end
