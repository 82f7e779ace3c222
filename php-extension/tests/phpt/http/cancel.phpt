--TEST--
A request that is cancelled is released with its last variable, and may be made again
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
$http->setDefaultCallback(fn ($request) => $request->sendReply(200, 'OK'));
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$make = function (string $name) use ($base, $connection) {
    $request = new EventHttpRequest(function ($request, $data) use ($base) {
        echo "$data->name: ", $request->getResponseCode(), "\n";
        $request->cancel(); // it is over
        $base->exit();
    }, new Data($name));
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    return $request;
};

$held = $make('held by a variable');
$held->cancel();
echo "cancelled\n";
unset($held);

$weak = WeakReference::create($make('held by the connection'));
$weak->get()->cancel();
echo "cancelled\n";

$again = $make('made again');
$again->cancel();
$connection->makeRequest($again, EventHttpRequest::CMD_GET, '/');
unset($again); // the connection has it
$base->exit(30);
$base->loop();
echo "end\n";
?>
--EXPECT--
cancelled
held by a variable released
held by the connection released
cancelled
made again: 200
made again released
end
