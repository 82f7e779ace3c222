--TEST--
type error in the callback of a descriptor
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; strlen([]); };
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($b, "x"); $e = new Event($base, $a, Event::READ, $f); $e->add();
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(0.05);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called

Warning: EventBase::loop(): Breaking the loop due to exception TypeError in %s on line %d

Fatal error: Uncaught TypeError: strlen(): Argument #1 ($%s) must be of type string, array given in %s:%d
Stack trace:
#0 [internal function]: {closure%S}(Resource id #4, 2, NULL)
#1 %s(7): EventBase->loop()
#2 {main}
  thrown in %s on line %d
shutdown
