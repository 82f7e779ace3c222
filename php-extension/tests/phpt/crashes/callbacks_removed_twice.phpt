--TEST--
Callbacks that are removed more than once are released once
--FILE--
<?php
$base = new EventBase;
[$one, $other] = EventBufferEvent::createPair($base);
$callback = function () { echo "never\n"; };
$seen = WeakReference::create($callback);
$one->setCallbacks($callback, $callback, $callback, 'x');
for ($n = 0; $n < 3; $n++) {
    $one->setCallbacks(null, null, null);
}
$other->write('x');
$one->enable(Event::READ);
$base->loop(EventBase::LOOP_NONBLOCK);
var_dump($seen->get() === $callback);
unset($callback);
var_dump($seen->get());
?>
--EXPECT--
bool(true)
NULL
