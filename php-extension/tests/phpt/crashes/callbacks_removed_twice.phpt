--TEST--
Callbacks that are removed more than once
--FILE--
<?php
$base = new EventBase; [$one, $other] = EventBufferEvent::createPair($base);
$f = function () { echo "never\n"; };
$one->setCallbacks($f, $f, $f, 'x');
for ($n = 0; $n < 3; $n++) $one->setCallbacks(null, null, null);
$other->write('x'); $one->enable(Event::READ); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK); echo "end\n";
?>
--EXPECT--
end
