--TEST--
exit text in the callback of a pair
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; exit("bye"); };
[$a, $b] = EventBufferEvent::createPair($base); $a->setCallbacks($f, null, null); $a->enable(Event::READ); $b->write("x");
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECT--
called
byeshutdown
