--TEST--
A buffer event that no variable holds is not collected while it is owed a call
--FILE--
<?php
$base = new EventBase;
$peers = [];
$socket = function (string $name) use ($base, &$peers) {
    [$near, $peers[$name]] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    return new EventBufferEvent($base, $near, EventBufferEvent::OPT_DEFER_CALLBACKS);
};
$half = function (string $name) use ($base, &$peers) {
    [$half, $peers[$name]] = EventBufferEvent::createPair($base);
    return $half;
};
$call_back = function (string $name, EventBufferEvent $bev) {
    $say = function ($given, $what) use (&$bev, $name) {
        echo "$name: ", is_int($what) ? $what : 'read', "\n";
        $given->disable(Event::READ | Event::WRITE);
    };
    $bev->setCallbacks($say, null, $say);
    return $bev;
};
/** Runs what is ready in one turn, and the collector between that and what it has put off. */
$collect = function () use ($base) {
    $collector = Event::timer($base, fn () => gc_collect_cycles());
    $collector->add(0.01);
    usleep(30_000);
    $base->exit(0.1);
    $base->loop();
};

$make = [
    'deferred, time to read' => function ($name) use ($socket, $call_back) {
        $bev = $call_back($name, $socket($name));
        $bev->setTimeouts(0.005, 0);
        $bev->enable(Event::READ);
    },
    'deferred, end' => function ($name) use ($socket, $call_back, &$peers) {
        $call_back($name, $socket($name))->enable(Event::READ);
        unset($peers[$name]);
    },
    'half, time to read' => function ($name) use ($half, $call_back) {
        $bev = $call_back($name, $half($name));
        $bev->setTimeouts(0.005, 0);
        $bev->enable(Event::READ);
    },
    'half alone, time to write' => function ($name) use ($half, $call_back, &$peers) {
        $bev = $call_back($name, $half($name));
        $bev->setTimeouts(0, 0.05);
        $bev->write('waits');
        unset($peers[$name]);
    },
    'half alone, bytes of the other' => function ($name) use ($half, $call_back, &$peers) {
        $call_back($name, $half($name))->enable(Event::READ);
        $peers[$name]->write('bytes');
        unset($peers[$name]);
    },
    'without a socket, time to read' => function ($name) use ($base, $call_back) {
        $bev = $call_back($name, new EventBufferEvent($base));
        $bev->setTimeouts(0.05, 0);
        $bev->enable(Event::READ);
    },
];
foreach ($make as $name => $begin) {
    $begin($name);
    $collect();
}

(function ($name) use ($base, $socket, $call_back, &$input) {
    $bev = $socket($name);
    $bev->setCallbacks(function () use (&$bev, $name, $base) {
        echo "$name: read\n";
        $base->stop();
    }, null, null);
    $bev->setWatermark(Event::READ, 0, 4);
    $bev->enable(Event::READ);
    $input = $bev->input;
})('full, and emptied by others');
fwrite(end($peers), 'full');
$base->loop();
$input->drain(4); // between two turns it rests
gc_collect_cycles();
fwrite(end($peers), 'more');
$base->exit(0.1);
$base->loop();
$base->free();
gc_collect_cycles();
?>
--EXPECT--
deferred, time to read: 65
deferred, end: 17
half, time to read: 65
half alone, time to write: 66
half alone, bytes of the other: read
without a socket, time to read: 65
full, and emptied by others: read
full, and emptied by others: read
