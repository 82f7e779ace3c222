--TEST--
A buffer event is collected when nothing can come any more, also where no callback told so
--FILE--
<?php
require __DIR__ . '/cycles.inc';
$base = new EventBase;
$peers = [];
$socket = function ($name) use ($base, &$peers) {
    [$near, $peers[$name]] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    return new EventBufferEvent($base, $near);
};
$half = function ($name) use ($base, &$peers) {
    [$half, $peers[$name]] = EventBufferEvent::createPair($base);
    return $half;
};
$refused = function () {
    $server = stream_socket_server('tcp://127.0.0.1:0');
    return (int) substr(strrchr(stream_socket_get_name($server, false), ':'), 1); // closed now
};
$connect = function ($name, $event = false) use ($base, $refused) {
    $bev = call_back($name, new EventBufferEvent($base), $event);
    $bev->connect("127.0.0.1:{$refused()}");
    return $bev;
};
$deaf = stream_socket_server('udp://127.0.0.1:0', flags: STREAM_SERVER_BIND);
$dns = new EventDnsBase($base, 0);
$dns->addNameserverIp(stream_socket_get_name($deaf, false));
$dns->setOption('timeout:', '0.01');
$dns->setOption('attempts:', '1');
$connect_host = function ($name, $dns, $host, $port) use ($base) {
    $bev = call_back($name, new EventBufferEvent($base));
    $bev->connectHost($dns, $host, $port, EventUtil::AF_INET);
    return $bev;
};
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$filter = function ($name, $under) use ($context) {
    $connecting = EventBufferEvent::SSL_CONNECTING;
    return call_back($name, EventBufferEvent::createSslFilter($under, $context, $connecting), true);
};
$tls = function ($name, $socket) use ($base, $context) {
    $connecting = EventBufferEvent::SSL_CONNECTING;
    return call_back($name, EventBufferEvent::sslSocket($base, $socket, $context, $connecting));
};
$much = str_repeat('x', 1 << 20);
$make = [
    'peer leaves' => fn ($name) => call_back($name, $socket($name))->enable(Event::READ),
    'half whose other half is freed' => fn ($name) => call_back($name, $half($name))->enable(Event::READ),
    'half whose other half goes' => fn ($name) => call_back($name, $half($name))->enable(Event::READ),
    'connection is refused' => fn ($name) => $connect($name)->enable(Event::READ),
    'connection is refused, which a callback hears' => fn ($name) => $connect($name, true)->enable(Event::READ),
    'connection by name is refused' => fn ($name) => $connect_host($name, null, 'localhost', $refused())
        ->enable(Event::READ),
    'name is not found' => fn ($name) => $connect_host($name, $dns, 'nowhere.invalid', 80)->enable(Event::READ),
    'never connects' => function ($name) use ($base) {
        $bev = call_back($name, new EventBufferEvent($base));
        $bev->enable(Event::READ);
        $bev->write('waits');
    },
    'is closed' => function ($name) use ($socket) {
        $bev = call_back($name, $socket($name));
        $bev->enable(Event::READ);
        $bev->close();
    },
    'time to read ends' => function ($name) use ($socket) {
        $bev = call_back($name, $socket($name));
        $bev->setTimeouts(0.01, 0);
        $bev->enable(Event::READ);
    },
    'time to write ends' => function ($name) use ($socket, $much) {
        $bev = call_back($name, $socket($name));
        $bev->setTimeouts(0, 0.01);
        $bev->write($much);
    },
    'peer leaves before all is written' => fn ($name) => call_back($name, $socket($name))->write($much),
    'output is sent' => fn ($name) => call_back($name, $socket($name))->write('little'),
    'output is taken by the other half' => fn ($name) => call_back($name, $half($name))->write('little'),
    'output of a half whose other half goes' => fn ($name) => call_back($name, $half($name))->write('little'),
    'writing is disabled' => function ($name) use ($socket) {
        $bev = call_back($name, $socket($name));
        $bev->write('waits');
        $bev->disable(Event::WRITE);
    },
    'TLS: peer leaves' => function ($name) use ($tls, &$peers) {
        [$near, $peers[$name]] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $tls($name, $near)->enable(Event::READ);
    },
    'TLS: never connects' => fn ($name) => $tls($name, null)->enable(Event::READ),
    'TLS: what is under it is freed' => function ($name) use ($filter, $socket, &$under) {
        $under = $socket($name);
        $filter($name, $under)->enable(Event::READ);
    },
    'TLS on a half whose other half goes' => fn ($name) => $filter($name, $half($name))->enable(Event::READ),
];
array_walk($make, fn ($make, $name) => $make($name));
gc_collect_cycles(); // leaves alone what is pending
$peers['half whose other half is freed']->free();
$peers['output is taken by the other half']->enable(Event::READ);
$under->free();
foreach ($make as $name => $_) {
    if (str_contains($name, 'goes') || str_contains($name, 'leaves')) {
        unset($peers[$name]);
    }
}
turn($base, 0.3);
collect_all();
?>
--EXPECT--
peer leaves: collected
half whose other half is freed: collected
half whose other half goes: collected
connection is refused: collected
connection is refused, which a callback hears: collected
connection by name is refused: collected
name is not found: collected
never connects: collected
is closed: collected
time to read ends: collected
time to write ends: collected
peer leaves before all is written: collected
output is sent: collected
output is taken by the other half: collected
output of a half whose other half goes: collected
writing is disabled: collected
TLS: peer leaves: collected
TLS: never connects: collected
TLS: what is under it is freed: collected
TLS on a half whose other half goes: collected
