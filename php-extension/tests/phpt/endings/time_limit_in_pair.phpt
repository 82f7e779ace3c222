--TEST--
The time limit in the callback of a pair ends the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; set_time_limit(1); while (true); };
[$a, $b] = EventBufferEvent::createPair($base); $a->setCallbacks($f, null, null); $a->enable(Event::READ); $b->write("x");
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called

Fatal error: Maximum execution time of 1 second exceeded in %s on line %d
shutdown
