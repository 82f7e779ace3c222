--TEST--
What was pending is collected when no variable holds its base, which nothing can run any more
--FILE--
<?php
require __DIR__ . '/cycles.inc';
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$made = [
    'timer' => function ($name, $base) {
        $event = Event::timer($base, function () use (&$event, &$witness) {});
        $event->add(100);
        $witness = hold($name, $event);
    },
    'buffer event' => fn ($name, $base) => call_back($name, new EventBufferEvent($base, $near))->enable(Event::READ),
    'listener' => function ($name, $base) {
        $listener = new EventListener($base, function () use (&$listener, &$witness) {}, null, 0, -1, '127.0.0.1:0');
        $witness = hold($name, $listener);
    },
    'server' => function ($name, $base) {
        $http = new EventHttp($base);
        $http->setDefaultCallback(function () use (&$http, &$witness) {});
        $http->bind('127.0.0.1', 0);
        $witness = hold($name, $http);
    },
    'connection of a server' => function ($name, $base) {
        $http = new EventHttp($base);
        for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
        $witness = hold($name, $http);
        $exit = WeakReference::create($base);
        $http->setDefaultCallback(function ($request) use (&$http, &$witness, $exit) {
            $request->getConnection()->setCloseCallback(function () use (&$http, &$witness) {});
            $request->sendReply(200, 'OK');
            $exit->get()->exit();
        });
        static $clients = [];
        $clients[] = $client = stream_socket_client("tcp://127.0.0.1:$port");
        fwrite($client, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        $base->loop();
    },
];
foreach ($made as $name => $make) {
    $bases[$name] = new EventBase;
    $make($name, $bases[$name]);
}
collect_nothing();
unset($bases);
collect_all();

// A listener gives its base.
$listener = (function () {
    $base = new EventBase;
    $timer = Event::timer($base, function () use (&$timer) { echo "timer\n"; });
    $timer->add(0);
    return new EventListener($base, function () {}, null, EventListener::OPT_DISABLED, -1, '127.0.0.1:0');
})();
gc_collect_cycles();
$listener->getBase()->loop();
gc_collect_cycles();
?>
--EXPECT--
timer: collected
buffer event: collected
listener: collected
server: collected
connection of a server: collected
timer
