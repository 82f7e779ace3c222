--TEST--
exit text in the callback of a timer
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; exit("bye"); };
$e = Event::timer($base, $f); $e->add(0);
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECT--
called
byeshutdown
