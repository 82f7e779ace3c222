--TEST--
Another default callback takes the place of the former one, which goes with its data
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$first = function ($request, $data) use ($http, $base) {
    echo "first gets $data->name\n";
    $http->setDefaultCallback(function ($request, $data) use ($base) {
        echo 'second gets ', var_export($data, true), "\n";
        $request->sendReply(200, 'OK');
        $base->exit();
    });
    echo "and is still there: $data->name\n";
    $request->sendReply(200, 'OK');
    $base->exit();
};
$data = new stdClass;
$data->name = 'its data';
$held = array_map(WeakReference::create(...), [$first, $data]);
$http->setDefaultCallback($first, $data);
unset($first, $data);
for ($n = 0; $n < 2; $n++) {
    $client = stream_socket_client("tcp://127.0.0.1:$port");
    fwrite($client, "GET / HTTP/1.0\r\n\r\n");
    $base->loop();
    var_dump($held[0]->get(), $held[1]->get());
}
?>
--EXPECT--
first gets its data
and is still there: its data
NULL
NULL
second gets NULL
NULL
NULL
