--TEST--
A server that reads by one event and writes by another, which it deletes and unsets in its callback
--FILE--
<?php
$events = [];
$clients = [];

function accepted($server, $what, $base): void
{
    global $events, $clients;
    $client = stream_socket_accept($server, 0);
    $clients[(int) $client] = $client;
    $events[(int) $client]['read'] = $event = new Event($base, $client, Event::READ | Event::PERSIST, 'readable', $base);
    $event->add();
}

function readable($client, $what, $base): void
{
    global $events;
    $text = fread($client, 65535);
    $events[(int) $client]['write'] = $event = new Event($base, $client, Event::WRITE | Event::PERSIST, 'writable', ['text' => $text]);
    $event->add();
}

function writable($client, $what, $data): void
{
    global $events, $clients;
    foreach ($clients as $other) {
        if ($other !== $client) {
            fwrite($other, $data['text']);
        }
    }
    $events[(int) $client]['write']->del();
    unset($events[(int) $client]['write']);
}

$base = new EventBase;
$server = stream_socket_server('tcp://127.0.0.1:0');
$accept = new Event($base, $server, Event::READ | Event::PERSIST, 'accepted', $base);
$accept->add();
$heard = 0;
for ($n = 0; $n < 3; $n++) {
    $ends[$n] = stream_socket_client('tcp://' . stream_socket_get_name($server, false));
    $reading[$n] = new Event($base, $ends[$n], Event::READ | Event::PERSIST, function ($end, $what, $n) use ($base, &$heard) {
        echo "client $n: ", fread($end, 100), "\n";
        if (++$heard === 2) {
            $base->exit(0.05); // long enough for a third, which may not come
        }
    }, $n);
    $reading[$n]->add();
}
$begin = Event::timer($base, fn () => fwrite($ends[1], 'hello'));
$begin->add(0.05);
$base->loop();
var_dump(isset(array_values($events)[1]['write']));
?>
--EXPECTREGEX--
client [02]: hello
client [02]: hello
bool\(false\)
