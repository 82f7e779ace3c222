--TEST--
A server of streams that answers with the table of its events
--FILE--
<?php
$events = [];
$clients = [];
$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);
$accept = new Event($base, $server, Event::READ | Event::PERSIST, function ($server, $what, $base) {
    global $events, $clients;
    $client = stream_socket_accept($server, 0);
    $clients[(int) $client] = $client;
    $event = new Event($base, $client, Event::READ | Event::PERSIST, function ($client) {
        global $events;
        if (fread($client, 65535) != '') {
            fwrite($client, json_encode(array_values($events)) . "\n");
        }
    });
    $event->add();
    $events[(int) $client] = $event;
    if (count($clients) === 3) {
        fwrite($GLOBALS['ends'][0], 'x');
    }
}, $base);
$accept->add();
$events[(int) $server] = $accept;

$asked = 0;
$reading = [];
for ($n = 0; $n < 3; $n++) {
    $ends[$n] = $end = stream_socket_client("tcp://$address");
    $reading[$n] = new Event($base, $end, Event::READ | Event::PERSIST, function ($end, $what, $n) use ($base, &$asked, &$ends) {
        echo "client $n: ", fgets($end);
        if (++$asked === 3) {
            $base->exit();
            return;
        }
        fwrite($ends[$asked], 'x');
    }, $n);
    $reading[$n]->add();
}
$base->loop();
?>
--EXPECT--
client 0: [{"pending":true,"data":{}},{"pending":true,"data":null},{"pending":true,"data":null},{"pending":true,"data":null}]
client 1: [{"pending":true,"data":{}},{"pending":true,"data":null},{"pending":true,"data":null},{"pending":true,"data":null}]
client 2: [{"pending":true,"data":{}},{"pending":true,"data":null},{"pending":true,"data":null},{"pending":true,"data":null}]
