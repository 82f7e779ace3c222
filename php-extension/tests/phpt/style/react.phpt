--TEST--
A loop in ReactPHP's style: one event for each stream and direction, timers, next ticks
--FILE--
<?php
final class Loop
{
    private EventBase $base;
    private SplObjectStorage $timers;
    private array $reads = [];
    private array $writes = [];
    private array $ticks = [];
    private bool $running = true;

    public function __construct()
    {
        $config = new EventConfig;
        $config->requireFeatures(EventConfig::FEATURE_FDS);
        $this->base = new EventBase($config);
        $this->timers = new SplObjectStorage;
    }

    public function onRead($stream, callable $listener): void
    {
        $event = new Event($this->base, $stream, Event::PERSIST | Event::READ, fn ($stream) => $listener($stream, $this));
        $event->add();
        $this->reads[(int) $stream] = $event;
    }

    public function onWrite($stream, callable $listener): void
    {
        $event = new Event($this->base, $stream, Event::PERSIST | Event::WRITE, fn ($stream) => $listener($stream, $this));
        $event->add();
        $this->writes[(int) $stream] = $event;
    }

    public function remove($stream): void
    {
        foreach (['reads', 'writes'] as $which) {
            if (isset($this->$which[(int) $stream])) {
                $this->$which[(int) $stream]->free();
                unset($this->$which[(int) $stream]);
            }
        }
    }

    public function timer(float $interval, bool $periodic, callable $callback): object
    {
        $timer = new stdClass;
        $flags = $periodic ? Event::TIMEOUT | Event::PERSIST : Event::TIMEOUT;
        $event = new Event($this->base, -1, $flags, function () use ($timer, $callback, $periodic) {
            $callback($timer);
            if (!$periodic) {
                $this->cancel($timer);
            }
        });
        $this->timers[$timer] = $event;
        $event->add($interval);
        return $timer;
    }

    public function cancel(object $timer): void
    {
        if ($this->timers->offsetExists($timer)) {
            $this->timers[$timer]->free();
            $this->timers->offsetUnset($timer);
        }
    }

    public function tick(callable $tick): void
    {
        $this->ticks[] = $tick;
    }

    public function run(): void
    {
        while ($this->running) {
            foreach (array_splice($this->ticks, 0) as $tick) {
                $tick();
            }
            $flags = EventBase::LOOP_ONCE;
            if ($this->ticks) {
                $flags |= EventBase::LOOP_NONBLOCK;
            } elseif (!$this->reads && !$this->writes && !$this->timers->count()) {
                break;
            }
            $this->base->loop($flags);
        }
    }
}

$loop = new Loop;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$loop->onWrite($far, function ($far, $loop) {
    fwrite($far, 'hello');
    $loop->remove($far);
});
$loop->onRead($near, function ($near, $loop) {
    echo 'read ', fread($near, 100), "\n";
    $loop->remove($near);
});
$count = 0;
$loop->timer(0.001, true, function ($timer) use ($loop, &$count) {
    if (++$count === 3) {
        echo "three times\n";
        $loop->cancel($timer);
        $loop->timer(0.001, false, function () { echo "once\n"; });
    }
});
$loop->tick(fn () => print("tick\n"));
$loop->run();
echo "end\n";
?>
--EXPECT--
tick
read hello
three times
once
end
