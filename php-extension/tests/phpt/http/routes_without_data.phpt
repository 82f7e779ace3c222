--TEST--
A route without data gets null, and the next one its own
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$server = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($server);
$answer = function ($request, $data) use ($base) {
    echo $request->getUri(), ' ', json_encode($data), "\n";
    $request->sendReply(200, 'OK');
    $base->stop();
};
$http->setCallback('/none', $answer);
$http->setCallback('/own', $answer, 'its own');
$http->setDefaultCallback($answer);
$client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
foreach (['/none', '/own', '/other'] as $path) {
    fwrite($client, "GET $path HTTP/1.1\r\nHost: a\r\n\r\n");
    $base->loop();
}
?>
--EXPECT--
/none null
/own "its own"
/other null
