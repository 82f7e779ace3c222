--TEST--
The body of an answer has no limit unless setMaxBodySize sets one; its head has one of 1 MiB
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$listener = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($listener);
$http->setCallback('/body', function ($request) {
    $body = new EventBuffer;
    $part = str_repeat('x', 1 << 20);
    for ($n = 0; $n < 65; $n++) {
        $body->add($part);
    }
    $request->sendReply(200, 'OK', $body);
});
$head = function ($request, $length) {
    $request->addHeader('X-Long', str_repeat('x', $length), EventHttpRequest::OUTPUT_HEADER);
    $request->sendReply(200, 'OK');
};
$http->setCallback('/head', $head, 1_000_000);
$http->setCallback('/endless', $head, 1_100_000);
$port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
foreach (['/body', '/head', '/endless'] as $path) {
    $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
    $request = new EventHttpRequest(function ($answer) use ($base) {
        $base->stop();
        if (!$answer) {
            echo "no answer\n";
            return;
        }
        echo strlen($answer->findHeader('X-Long', EventHttpRequest::INPUT_HEADER) ?? ''), ' ',
            $answer->getInputBuffer()->length, "\n";
    });
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, $path);
    $base->loop();
}
?>
--EXPECT--
0 68157440
1000000 0
no answer
