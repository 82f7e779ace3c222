--TEST--
priorityInit in a callback is refused, and the loop goes on
--FILE--
<?php
$base = new EventBase;
$second = Event::timer($base, function () { echo "second\n"; });
$first = Event::timer($base, function () use ($base, $second) {
    var_dump(@$base->priorityInit(3));
    $second->add(0);
});
$first->add(0);
$base->loop();
?>
--EXPECT--
bool(false)
second
