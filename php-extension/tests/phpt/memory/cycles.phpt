--TEST--
Objects that their own closures hold are collected
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$made = [
    'timers that have fired' => function () use ($base) {
        $event = Event::timer($base, function () use (&$event) { return $event; });
        $event->add(0);
        $base->loop(EventBase::LOOP_NONBLOCK);
    },
    'events with themselves as data' => function () use ($base, $near) {
        $event = new Event($base, $near, Event::READ, function () {});
        $event->data = $event;
    },
    'buffer events' => function () use ($base, $near) {
        $bev = new EventBufferEvent($base, $near);
        $bev->setCallbacks(function () use (&$bev) {}, null, null, [&$bev]);
    },
    'requests' => function () {
        $request = new EventHttpRequest(function () use (&$request) {});
    },
];
foreach ($made as $what => $make) {
    for ($n = 0; $n < 50_000; $n++) {
        if ($n % 100 === 0) { // few at a time, or a leak fits into what the allocators have kept
            gc_collect_cycles();
            $base->loop(EventBase::LOOP_NONBLOCK); // where buffer events end
        }
        if ($n === 20_000) {
            $before = resident();
        }
        $make();
    }
    gc_collect_cycles();
    grown($what, $before);
}
?>
--EXPECT--
timers that have fired: flat
events with themselves as data: flat
buffer events: flat
requests: flat
