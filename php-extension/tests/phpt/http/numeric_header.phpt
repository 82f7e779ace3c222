--TEST--
A header whose name is a number is found by that number, as in any array of PHP's
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$server = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($server);
$http->setDefaultCallback(function ($request) use ($base) {
    var_dump($request->getInputHeaders()['42']);
    $request->sendReply(200, 'OK');
    $base->stop();
});
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
fwrite($client, "GET / HTTP/1.1\r\nHost: a\r\n42: text\r\n\r\n");
$base->loop();
?>
--EXPECT--
string(4) "text"
