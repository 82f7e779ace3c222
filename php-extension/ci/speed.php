<?php
// Times one kind of work of the event extension: speed.php NAME. Prints nanoseconds, the best of
// five. speed.sh calls it.
$work = [
    'make and free 100,000 timers' => function (): void {
        $base = new EventBase;
        for ($n = 0; $n < 100_000; $n++) {
            $event = Event::timer($base, 'strlen');
            $event->free();
        }
    },
    'add and delete 300,000 times' => function (): void {
        $base = new EventBase;
        $event = Event::timer($base, 'strlen');
        for ($n = 0; $n < 300_000; $n++) {
            $event->add(10);
            $event->del();
        }
    },
    '100,000 timers fire' => function (): void {
        $base = new EventBase;
        $count = 0;
        $event = Event::timer($base, function () use (&$count, &$event): void {
            if (++$count < 100_000) {
                $event->add(0);
            }
        });
        $event->add(0);
        $base->loop();
        $event = null;
    },
    '100,000 timers wait' => function (): void {
        $base = new EventBase;
        $events = [];
        for ($n = 0; $n < 100_000; $n++) {
            $events[] = $event = Event::timer($base, 'strlen');
            $event->add(10 + $n % 1000);
        }
        foreach ($events as $event) {
            $event->del();
        }
    },
    '100,000 socket callbacks' => function (): void {
        $base = new EventBase;
        [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        stream_set_blocking($near, false);
        stream_set_blocking($far, false);
        $count = 0;
        $event = new Event($base, $near, Event::READ | Event::PERSIST, function ($socket) use ($far, &$count, $base): void {
            fread($socket, 8192);
            if (++$count === 100_000) {
                $base->stop();
            } else {
                fwrite($far, 'x');
            }
        });
        $event->add();
        fwrite($far, 'x');
        $base->loop();
        $event->free();
    },
    '100,000 callbacks of a ready socket' => function (): void {
        $base = new EventBase;
        [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        $count = 0;
        $event = new Event($base, $near, Event::WRITE | Event::PERSIST, function () use (&$count, $base): void {
            if (++$count === 100_000) {
                $base->stop();
            }
        });
        $event->add();
        $base->loop();
        $event->free();
    },
    '100,000 reads of a buffer event' => function (): void {
        $base = new EventBase;
        $pair = EventBufferEvent::createPair($base);
        $count = 0;
        $pair[0]->setCallbacks(function ($bev) use (&$count, $base, $pair): void {
            $bev->read(100);
            if (++$count === 100_000) {
                $base->stop();
            } else {
                $pair[1]->write('x');
            }
        }, null, null);
        $pair[0]->enable(Event::READ);
        $pair[1]->write('x');
        $base->loop();
    },
    '300,000 pieces through a buffer' => function (): void {
        $buffer = new EventBuffer;
        for ($n = 0; $n < 300_000; $n++) {
            $buffer->add('a line of text');
            $buffer->read(14);
        }
    },
    'the property pending, 300,000 times' => function (): void {
        $event = Event::timer(new EventBase, 'strlen');
        for ($n = 0; $n < 300_000; $n++) {
            $event->pending;
        }
    },
    'the table of 512 events as JSON, 200 times' => function (): void {
        $base = new EventBase;
        $table = [];
        for ($n = 0; $n < 512; $n++) {
            $table[$n + 5] = $event = Event::timer($base, 'strlen');
            $event->add(100);
        }
        for ($n = 0; $n < 200; $n++) {
            json_encode($table);
        }
    },
];
if (!isset($argv[1])) {
    echo implode("\n", array_keys($work)), "\n";
    exit;
}
$best = PHP_INT_MAX;
for ($round = 0; $round < 6; $round++) {
    $begun = hrtime(true);
    $work[$argv[1]]();
    if ($round > 0) {
        $best = min($best, hrtime(true) - $begun);
    }
}
echo $best, "\n";
