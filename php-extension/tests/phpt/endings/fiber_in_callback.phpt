--TEST--
A fiber and a generator that callbacks begin and go on with
--FILE--
<?php
$base = new EventBase;
$fiber = new Fiber(function () { echo "in\n"; Fiber::suspend(); echo "again\n"; });
$generator = (function () { echo "yields\n"; yield; echo "goes on\n"; })();
$timer = Event::timer($base, function () use ($fiber, $generator) {
    if ($fiber->isStarted()) {
        $fiber->resume();
        $generator->next();
    } else {
        $fiber->start();
        $generator->rewind();
    }
});
for ($turn = 0; $turn < 2; $turn++) {
    $timer->add(0);
    $base->loop();
}
var_dump($fiber->isTerminated(), $generator->valid());
?>
--EXPECT--
in
yields
again
goes on
bool(true)
bool(false)
