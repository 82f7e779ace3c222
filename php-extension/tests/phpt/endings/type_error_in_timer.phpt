--TEST--
type error in the callback of a timer
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; strlen([]); };
$e = Event::timer($base, $f); $e->add(0);
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called

Warning: EventBase::loop(): Breaking the loop due to exception TypeError in %s on line %d

Fatal error: Uncaught TypeError: strlen(): Argument #1 ($%s) must be of type string, array given in %s:%d
Stack trace:
#0 [internal function]: {closure%S}(NULL)
#1 %s(7): EventBase->loop()
#2 {main}
  thrown in %s on line %d
shutdown
