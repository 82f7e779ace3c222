--TEST--
The time limit in the callback of a timer ends the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; set_time_limit(1); while (true); };
$e = Event::timer($base, $f); $e->add(0);
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called

Fatal error: Maximum execution time of 1 second exceeded in %s on line %d
shutdown
