--TEST--
A fiber that is suspended in a callback of the loop that it runs
--FILE--
<?php
/** A fiber that runs the loop, and is suspended in it. */
function loops(EventBase $base): Fiber
{
    $fiber = new Fiber(function () use ($base) {
        $timer = Event::timer($base, function () {
            try {
                Fiber::suspend();
                echo "resumed\n";
            } finally {
                echo "left\n";
            }
        });
        $timer->add(0);
        var_dump($base->loop());
    });
    $fiber->start();
    return $fiber;
}

$one = new EventBase;
$two = new EventBase;

echo "Meanwhile the loop runs:\n";
$fiber = loops($one);
var_dump(@$one->loop(), @$one->free());

echo "In the loop of another base it ends:\n";
$other = Event::timer($two, fn () => $fiber->resume());
$other->add(0);
var_dump($two->loop(), $fiber->isTerminated(), $one->loop());

echo "Two end in the order in which they began:\n";
$fibers = [loops($one), loops($two)];
foreach ($fibers as $fiber) {
    $fiber->resume();
}

echo "One is dropped:\n";
$fiber = loops($one);
unset($fiber, $fibers);
var_dump($one->loop());

echo "One is left at the end:\n";
$fiber = loops($one);
?>
--EXPECT--
Meanwhile the loop runs:
bool(false)
bool(false)
In the loop of another base it ends:
resumed
left
bool(true)
bool(true)
bool(true)
bool(true)
Two end in the order in which they began:
resumed
left
bool(true)
resumed
left
bool(true)
One is dropped:
left
bool(true)
One is left at the end:
left
