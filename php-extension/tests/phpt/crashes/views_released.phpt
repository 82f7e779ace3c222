--TEST--
What a request gives is released with its variables
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($request) use ($base) {
    $views = [];
    for ($n = 0; $n < 2000; $n++) {
        if ($n === 10) {
            $before = memory_get_usage();
        }
        $views = [$request->getConnection(), $request->getBufferEvent(), $request->getInputBuffer(), $request->getOutputBuffer()];
    }
    var_dump(memory_get_usage() - $before < 10_000);
    $request->sendReply(200, 'OK');
    $base->exit();
});
$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET / HTTP/1.0\r\n\r\n");
$base->exit(30);
$base->loop();
?>
--EXPECT--
bool(true)
