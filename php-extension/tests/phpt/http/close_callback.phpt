--TEST--
The data of a close callback stay without new ones, and go when they are replaced or the connection goes
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
    $request->addHeader('Connection', 'close', EventHttpRequest::OUTPUT_HEADER);
    $request->sendReply(200, 'OK');
});
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$ask = function () use ($base, $connection) {
    $request = new EventHttpRequest(function ($request) use ($base) { // called after the close callback
        echo $request->getResponseCode(), "\n";
        $base->exit();
    });
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    $base->exit(30);
    $base->loop();
};
$callback = fn (string $name) => function ($closed, $data) use ($name, $connection) {
    var_dump($closed === $connection);
    echo "$name called with $data->name\n";
};
$first = $callback('first');
$held = WeakReference::create($first);
$connection->setCloseCallback($first, new Data('one'));
unset($first);
$ask();
$connection->setCloseCallback($callback('second'));
var_dump($held->get());
$ask();
$connection->setCloseCallback($callback('third'), new Data('two'));
$ask();
unset($callback, $ask);
echo "connection goes\n";
$connection->setCloseCallback('strlen'); // the third closure holds the connection
unset($connection);
echo "end\n";
?>
--EXPECT--
bool(true)
first called with one
200
NULL
bool(true)
second called with one
200
one released
bool(true)
third called with two
200
connection goes
two released
end
