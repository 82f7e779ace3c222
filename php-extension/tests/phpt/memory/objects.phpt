--TEST--
200,000 objects made and dropped leave no memory behind
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$made = [
    'timers' => fn () => Event::timer($base, 'strlen', ['data'])->add(100),
    'events' => fn () => (new Event($base, $near, Event::READ, 'strlen'))->add(),
    'buffers' => fn () => (new EventBuffer)->add('some bytes'),
    'buffer events' => fn () => (new EventBufferEvent($base, $near, 0, 'strlen'))->enable(Event::READ),
    'pairs' => fn () => EventBufferEvent::createPair($base),
    'requests' => fn () => new EventHttpRequest('strlen', ['data']),
    'connections' => fn () => new EventHttpConnection($base, null, '127.0.0.1', 80),
    'configurations' => fn () => (new EventConfig)->avoidMethod('select'),
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
    grown($what, $before, 500_000);
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
configurations: flat
