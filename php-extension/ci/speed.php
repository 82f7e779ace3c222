<?php
// The kinds of work that speed.sh measures, each with how often it is done for a time:
//   speed.php               lists them
//   speed.php NAME COUNT    does one so often, and prints the nanoseconds that each took
//   speed.php --counted     does all, seldom, and marks where each begins and ends, for callgrind
//
// Each is a function that prepares, and returns one that does the work.
$timer = fn (EventBase $base): Event => Event::timer($base, 'strlen');
$pair = function (): array {
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    foreach ($pair as $stream) {
        stream_set_blocking($stream, false);
        stream_set_read_buffer($stream, 0);
    }
    return $pair;
};
$works = [
    'make and free a timer' => [200_000, function () use ($timer): Closure {
        $base = new EventBase;
        return function (int $count) use ($base, $timer): void {
            for ($n = 0; $n < $count; $n++) {
                $timer($base)->free();
            }
        };
    }],
    'make a timer, add it, drop it' => [200_000, function (): Closure {
        $base = new EventBase;
        return function (int $count) use ($base): void {
            for ($n = 0; $n < $count; $n++) {
                $event = Event::timer($base, 'strlen');
                $event->add(10);
            }
        };
    }],
    'make and drop an event of a socket' => [200_000, function () use ($pair): Closure {
        $base = new EventBase;
        [$near] = $streams = $pair();
        return function (int $count) use ($base, $near, $streams): void {
            for ($n = 0; $n < $count; $n++) {
                new Event($base, $near, Event::READ | Event::PERSIST, 'strlen');
            }
        };
    }],
    'add an event and delete it' => [300_000, function () use ($timer): Closure {
        $base = new EventBase; // which PECL's events do not keep
        $event = $timer($base);
        return function (int $count) use ($base, $event): void {
            for ($n = 0; $n < $count; $n++) {
                $event->add(10);
                $event->del();
            }
        };
    }],
    'a timer fires, and is added again' => [100_000, function (): Closure {
        $base = new EventBase;
        return function (int $count) use ($base): void {
            $event = Event::timer($base, function () use (&$count, &$event): void {
                if (--$count > 0) {
                    $event->add(0);
                }
            });
            $event->add(0);
            $base->loop();
            $event = null;
        };
    }],
    'a timer among many is made, added, deleted' => [100_000, function (): Closure {
        $base = new EventBase;
        return function (int $count) use ($base): void {
            $events = [];
            for ($n = 0; $n < $count; $n++) {
                $events[] = $event = Event::timer($base, 'strlen');
                $event->add(10 + $n % 1000);
            }
            foreach ($events as $event) {
                $event->del();
            }
        };
    }],
    'a callback of a ready socket' => [100_000, function () use ($pair): Closure {
        $base = new EventBase;
        $streams = $pair();
        return function (int $count) use ($base, $streams): void {
            $event = new Event($base, $streams[0], Event::WRITE | Event::PERSIST, function () use (&$count, $base): void {
                if (--$count === 0) {
                    $base->stop();
                }
            });
            $event->add();
            $base->loop();
        };
    }],
    'a callback that reads a byte, and one is written' => [100_000, function () use ($pair): Closure {
        $base = new EventBase;
        [$near, $far] = $pair();
        return function (int $count) use ($base, $near, $far): void {
            $event = new Event($base, $near, Event::READ | Event::PERSIST, function ($socket) use ($far, &$count, $base): void {
                fread($socket, 8192);
                if (--$count === 0) {
                    $base->stop();
                } else {
                    fwrite($far, 'x');
                }
            });
            $event->add();
            fwrite($far, 'x');
            $base->loop();
        };
    }],
    'a read callback of a buffer event, with a read and a write' => [100_000, function (): Closure {
        $base = new EventBase;
        $pair = EventBufferEvent::createPair($base);
        return function (int $count) use ($base, $pair): void {
            $pair[0]->setCallbacks(function ($bev) use (&$count, $base, $pair): void {
                $bev->read(100);
                if (--$count === 0) {
                    $base->stop();
                } else {
                    $pair[1]->write('x');
                }
            }, null, null);
            $pair[0]->enable(Event::READ);
            $pair[1]->write('x');
            $base->loop();
        };
    }],
    'add 14 bytes to a buffer and read them' => [300_000, function (): Closure {
        $buffer = new EventBuffer;
        return function (int $count) use ($buffer): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->add('a line of text');
                $buffer->read(14);
            }
        };
    }],
    'add 14 bytes to a buffer and drain them' => [300_000, function (): Closure {
        $buffer = new EventBuffer;
        return function (int $count) use ($buffer): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->add('a line of text');
                $buffer->drain(14);
            }
        };
    }],
    'add 4,000 bytes to a buffer and read them' => [100_000, function (): Closure {
        $buffer = new EventBuffer;
        $piece = str_repeat('a line of 16 by..', 250);
        return function (int $count) use ($buffer, $piece): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->add($piece);
                $buffer->read(4000);
            }
        };
    }],
    'add a line to a buffer and read it as one' => [300_000, function (): Closure {
        $buffer = new EventBuffer;
        return function (int $count) use ($buffer): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->add("a line of text\n");
                $buffer->readLine(EventBuffer::EOL_LF);
            }
        };
    }],
    'substr of 14 bytes in a buffer' => [300_000, function (): Closure {
        $buffer = new EventBuffer;
        $buffer->add('a line of text, and another line of text');
        return function (int $count) use ($buffer): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->substr(10, 14);
            }
        };
    }],
    'the property length of a buffer' => [300_000, function (): Closure {
        $buffer = new EventBuffer;
        return function (int $count) use ($buffer): void {
            for ($n = 0; $n < $count; $n++) {
                $buffer->length;
            }
        };
    }],
    'the property pending' => [300_000, function () use ($timer): Closure {
        $base = new EventBase; // which PECL's events do not keep
        $event = $timer($base);
        return function (int $count) use ($base, $event): void {
            for ($n = 0; $n < $count; $n++) {
                $event->pending;
            }
        };
    }],
    'a table of 512 events as JSON' => [500, function () use ($timer): Closure {
        $base = new EventBase;
        $table = [];
        for ($n = 0; $n < 512; $n++) {
            $table[$n + 5] = $event = $timer($base);
            $event->add(100);
        }
        return function (int $count) use ($base, $table): void {
            for ($n = 0; $n < $count; $n++) {
                json_encode($table);
            }
        };
    }],
];
if (($argv[1] ?? '') === '--counted') {
    gc_disable();
    foreach ($works as $name => [$count, $prepare]) {
        $count = intdiv($count, 50);
        $work = $prepare();
        $work($count);
        gc_collect_cycles(); // the mark
        $work($count);
        gc_collect_cycles();
        echo "$name\t$count\n";
        $work = null;
    }
    exit;
}
if (!isset($argv[2])) {
    foreach ($works as $name => [$count]) {
        echo "$name\t$count\n";
    }
    exit;
}
// The process's own time, which other work on the machine changes least.
$used = function (): int {
    $usage = getrusage();
    $part = fn (string $kind): int => $usage["ru_$kind.tv_sec"] * 1_000_000 + $usage["ru_$kind.tv_usec"];
    return $part('utime') + $part('stime');
};
$count = (int) $argv[2];
$work = $works[$argv[1]][1]();
$work(max(1, intdiv($count, 10)));
$begun = $used();
$work($count);
printf("%.1f\n", 1000 * ($used() - $begun) / $count);
