--TEST--
What was pending is collected after its base was freed, whose end calls nothing
--SKIPIF--
<?php if (!extension_loaded('posix')) die('skip needs posix'); ?>
--FILE--
<?php
require __DIR__ . '/cycles.inc';
$base = new EventBase;
$pairs = [];
$pair = function () use (&$pairs) {
    $pairs[] = $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    return $pair[0];
};
$silent = stream_socket_server('tcp://127.0.0.1:0'); // accepts nothing
$port = (int) substr(strrchr(stream_socket_get_name($silent, false), ':'), 1);
$made = [
    'connection of a server' => function ($name) use ($base) {
        $http = new EventHttp($base);
        for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
        $witness = hold($name, $http);
        $http->setDefaultCallback(function ($request) use (&$http, &$witness, $base) {
            $request->getConnection()->setCloseCallback(function () use (&$http, &$witness) {});
            $request->sendReply(200, 'OK');
            $base->exit();
        });
        static $clients = [];
        $clients[] = $client = stream_socket_client("tcp://127.0.0.1:$port");
        fwrite($client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        $base->loop();
    },
    'timer' => function ($name) use ($base) {
        $event = Event::timer($base, function () use (&$event, &$witness) {});
        $event->add(100);
        $witness = hold($name, $event);
    },
    'descriptor' => function ($name) use ($base, $pair) {
        $event = new Event($base, $pair(), Event::READ | Event::PERSIST, function () use (&$event, &$witness) {});
        $event->add();
        $witness = hold($name, $event);
    },
    'signal' => function ($name) use ($base) {
        $event = Event::signal($base, SIGUSR1, function () use (&$event, &$witness) {});
        $event->add();
        $witness = hold($name, $event);
    },
    'data' => function ($name) use ($base) {
        $event = Event::timer($base, function () {});
        $event->data = [$event, hold($name, $event)];
        $event->add(100);
    },
    'reading' => fn ($name) => call_back($name, new EventBufferEvent($base, $pair()))->enable(Event::READ),
    'writing' => fn ($name) => call_back($name, new EventBufferEvent($base, $pair()))->write(str_repeat('x', 1 << 20)),
    'connecting' => fn ($name) => call_back($name, new EventBufferEvent($base))->connect("127.0.0.1:$port"),
    'half of a pair' => function ($name) use ($base) {
        static $others = [];
        [$half, $others[]] = EventBufferEvent::createPair($base);
        call_back($name, $half)->enable(Event::READ);
    },
    'listener' => function ($name) use ($base) {
        $listener = new EventListener($base, function () use (&$listener, &$witness) {}, null, 0, -1, '127.0.0.1:0');
        $witness = hold($name, $listener);
    },
    'server' => function ($name) use ($base) {
        $http = new EventHttp($base);
        $http->setDefaultCallback(function () use (&$http, &$witness) {});
        $http->bind('127.0.0.1', 0);
        $witness = hold($name, $http);
    },
    'client' => function ($name) use ($base, $port) {
        $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
        $connection->setCloseCallback(function () use (&$connection, &$witness) {});
        $connection->makeRequest(new EventHttpRequest(function () {}), EventHttpRequest::CMD_GET, '/');
        $witness = hold($name, $connection);
    },
    'request' => function ($name) use ($base, $port) {
        $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
        $request = new EventHttpRequest(function () use (&$connection, &$request, &$witness) {});
        $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
        $witness = hold($name, $request);
    },
    'request of a client in a variable' => function ($name) use ($base, $port) {
        static $connections = [];
        $connections[] = $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
        $request = new EventHttpRequest(function () use (&$request, &$witness) {});
        $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
        $witness = hold($name, $request);
    },
];
foreach ($made as $name => $make) {
    $make($name);
}
collect_nothing();
$base->free();
collect_all();
?>
--EXPECT--
connection of a server: collected
timer: collected
descriptor: collected
signal: collected
data: collected
reading: collected
writing: collected
connecting: collected
half of a pair: collected
listener: collected
server: collected
client: collected
request: collected
request of a client in a variable: collected
