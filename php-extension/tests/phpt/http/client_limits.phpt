--TEST--
What is set on a client's connection, and on an answer
--FILE--
<?php
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$name = stream_socket_get_name($server, false);
$http = new EventHttp($base);
var_dump($http->accept($server));
$http->setCallback('/large', function ($request) {
    $body = new EventBuffer;
    $body->add(str_repeat('x', 2_000));
    $request->sendReply(200, 'OK', $body);
});
$http->setCallback('/headers', function ($request) {
    $request->addHeader('X-Dropped', 'value', EventHttpRequest::OUTPUT_HEADER);
    $request->clearHeaders();
    $request->addHeader('X-Long', str_repeat('x', 2_000), EventHttpRequest::OUTPUT_HEADER);
    var_dump(array_keys($request->getOutputHeaders()));
    $request->sendReply(200, 'OK');
});
$http->setCallback('/error', fn ($request) => $request->sendError(404, 'Gone Fishing'));
$http->setCallback('/close', function ($request) use ($base) {
    $request->closeConnection();
    var_dump($request->getConnection());
});
$ask = function (string $path, ?callable $set = null) use ($base, $name) {
    [$address, $port] = explode(':', $name);
    $connection = new EventHttpConnection($base, null, $address, (int) $port);
    $set && $set($connection);
    $request = new EventHttpRequest(function ($answer) use ($base, $path) {
        echo "$path: ", $answer ? $answer->getResponseCode() : 'no answer', "\n";
        if ($path === '/error') {
            var_dump(str_contains($answer->getInputBuffer()->read(1_000), 'Gone Fishing'));
        }
        $base->stop();
    });
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, $path);
    $base->exit(30);
    $base->loop();
};
$ask('/large');
$ask('/large', fn ($connection) => $connection->setMaxBodySize(1_000));
$ask('/headers');
$ask('/headers', fn ($connection) => $connection->setMaxHeadersSize(1_000));
$ask('/error');
$ask('/close');

var_dump(is_resource($server));
unset($http);
$base->loop(EventBase::LOOP_NONBLOCK);
var_dump(is_resource($server), @stream_socket_client("tcp://$name"));
?>
--EXPECT--
bool(true)
/large: 200
/large: no answer
array(1) {
  [0]=>
  string(6) "X-Long"
}
/headers: 200
array(1) {
  [0]=>
  string(6) "X-Long"
}
/headers: no answer
/error: 404
bool(true)
NULL
/close: no answer
bool(true)
bool(false)
bool(false)
