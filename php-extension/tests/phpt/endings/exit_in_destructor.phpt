--TEST--
exit in the destructor of data that an event had when it was freed
--FILE--
<?php
class D { function __destruct() { echo "destroyed\n"; exit(0); } }
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
$event = Event::timer($base, function () {}, new D);
$event->free();
echo "not reached\n";
?>
--EXPECT--
destroyed
shutdown
