--TEST--
25,000 objects of each kind, made and dropped, leave no memory behind
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
/** A closure of its own each time. */
$closure = fn () => static function () {};
$data = fn () => [new stdClass];
$made = [
    'timers' => fn () => Event::timer($base, $closure(), $data())->add(100),
    'events' => fn () => (new Event($base, $near, Event::READ, $closure(), $data()))->add(),
    'buffers' => fn () => (new EventBuffer)->add('some bytes'),
    'buffer events' => fn () => (new EventBufferEvent($base, $near, 0, $closure(), $closure(), $closure(), $data()))
        ->enable(Event::READ),
    'pairs' => fn () => EventBufferEvent::createPair($base),
    'requests' => fn () => new EventHttpRequest($closure(), $data()),
    'connections' => fn () => (new EventHttpConnection($base, null, '127.0.0.1', 80))
        ->setCloseCallback($closure(), $data()),
    'servers' => fn () => (new EventHttp($base))->setCallback('/', $closure(), $data()),
    'listeners' => fn () => (new EventListener(
        $base, $closure(), $data(), EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0'
    ))->setErrorCallback($closure()),
    'DNS bases' => fn () => new EventDnsBase($base, 0),
    'configurations' => fn () => (new EventConfig)->avoidMethod('select'),
    'bases' => fn () => new EventBase,
    'TLS' => fn () => EventBufferEvent::sslSocket($base, null, $context, EventBufferEvent::SSL_CONNECTING),
];
foreach ($made as $what => $make) {
    for ($n = 0; $n < 25_000; $n++) {
        if ($n === 5_000) {
            $base->loop(EventBase::LOOP_NONBLOCK);
            $before = resident();
        }
        $make();
        if ($n % 100 === 0) {
            $base->loop(EventBase::LOOP_NONBLOCK); // where buffer events end
        }
    }
    grown($what, $before);
}
?>
--EXPECT--
timers: flat
events: flat
buffers: flat
buffer events: flat
pairs: flat
requests: flat
connections: flat
servers: flat
listeners: flat
DNS bases: flat
configurations: flat
bases: flat
TLS: flat
