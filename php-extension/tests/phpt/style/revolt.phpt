--TEST--
A driver in Revolt's style: events made once, added and deleted again, fibers that wait for them
--FILE--
<?php
final class Driver
{
    private EventBase $base;
    private array $events = [];

    public function __construct()
    {
        $this->base = new EventBase;
    }

    public function readable($stream): void
    {
        $fiber = Fiber::getCurrent();
        $event = $this->events[(int) $stream] ??= new Event(
            $this->base, $stream, Event::READ | Event::PERSIST, fn ($stream, $what, Closure $resume) => $resume(),
            fn () => null
        );
        $event->data = function () use ($event, $fiber) {
            $event->del();
            $fiber->resume();
        };
        $event->add();
        Fiber::suspend();
    }

    public function delay(float $seconds): void
    {
        $fiber = Fiber::getCurrent();
        $event = Event::timer($this->base, fn () => $fiber->resume());
        $event->add($seconds);
        Fiber::suspend();
        $event->free();
    }

    public function run(): void
    {
        while ($this->base->loop(EventBase::LOOP_ONCE) && array_filter($this->events, fn ($e) => $e->pending)) {
        }
    }
}

$driver = new Driver;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
(new Fiber(function () use ($driver, $near) {
    for ($n = 0; $n < 3; $n++) {
        $driver->readable($near);
        echo fread($near, 100), "\n";
    }
}))->start();
(new Fiber(function () use ($driver, $far) {
    foreach (['one', 'two', 'three'] as $word) {
        $driver->delay(0.002);
        fwrite($far, $word);
    }
}))->start();
$driver->run();
unset($driver);
gc_collect_cycles(); // at its end PHP leaves cycles to its allocator
echo "end\n";
?>
--EXPECT--
one
two
three
end
