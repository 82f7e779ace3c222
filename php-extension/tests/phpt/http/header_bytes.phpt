--TEST--
Headers whose values are no UTF-8 go in and out byte for byte, on a server and on a client
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$listener = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($listener);
$show = function (EventHttpRequest $request, int $side) {
    $headers = $side === EventHttpRequest::INPUT_HEADER ? $request->getInputHeaders() : $request->getOutputHeaders();
    echo bin2hex($headers['X-Latin']), ' ', bin2hex($request->findHeader('x-latin', $side)), ' ',
        $headers['X-Utf'], ' ', $request->findHeader('x-utf', $side), "\n";
};
$http->setDefaultCallback(function ($request) use ($show) {
    $show($request, EventHttpRequest::INPUT_HEADER);
    $request->addHeader('X-Latin', "\xfc", EventHttpRequest::OUTPUT_HEADER);
    $request->addHeader('X-Utf', 'ü', EventHttpRequest::OUTPUT_HEADER);
    $show($request, EventHttpRequest::OUTPUT_HEADER);
    $request->sendReply(200, 'OK');
});
$port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$request = new EventHttpRequest(function ($answer) use ($base, $show) {
    $show($answer, EventHttpRequest::INPUT_HEADER);
    $base->stop();
});
$request->addHeader('X-Latin', "caf\xe9", EventHttpRequest::OUTPUT_HEADER);
$request->addHeader('X-Utf', 'é', EventHttpRequest::OUTPUT_HEADER);
$show($request, EventHttpRequest::OUTPUT_HEADER);
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$base->loop();
?>
--EXPECT--
636166e9 636166e9 é é
636166e9 636166e9 é é
fc fc ü ü
fc fc ü ü
