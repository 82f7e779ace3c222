--TEST--
A body has no limit unless setMaxBodySize sets one; a head has one of 1 MiB
--FILE--
<?php
$base = new EventBase;
$http = new EventHttp($base);
$server = stream_socket_server('tcp://127.0.0.1:0');
$http->accept($server);
$http->setDefaultCallback(function ($request) {
    echo $request->getInputBuffer()->length, " bytes\n";
    $request->sendReply(200, 'OK');
});

/** Sends a text, and prints the first line of the answer. */
function ask(string $text): void
{
    global $base, $server;
    $client = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
    stream_set_blocking($client, false);
    $write = new Event($base, $client, Event::WRITE | Event::PERSIST, function ($client) use (&$text, &$write) {
        $text = substr($text, (int) @fwrite($client, $text));
        $text === '' && $write->del();
    });
    $write->add();
    $read = new Event($base, $client, Event::READ, function ($client) use ($base) {
        echo fgets($client);
        $base->stop();
    });
    $read->add();
    $base->loop();
    $write->free(); // its closure holds it
}

$body = fn (int $length) => "POST / HTTP/1.0\r\nContent-Length: $length\r\n\r\n" . str_repeat('x', $length);
ask($body(2_000_000));
$http->setMaxBodySize(1000);
ask($body(1000));
ask($body(1001));
ask("GET / HTTP/1.0\r\nA: " . str_repeat('x', 1_000_000) . "\r\n\r\n");
ask("GET / HTTP/1.0\r\nA: " . str_repeat('x', 1_100_000) . "\r\n\r\n");
?>
--EXPECT--
2000000 bytes
HTTP/1.0 200 OK
1000 bytes
HTTP/1.0 200 OK
HTTP/1.1 413 Content Too Large
0 bytes
HTTP/1.0 200 OK
HTTP/1.1 400 Bad Request
