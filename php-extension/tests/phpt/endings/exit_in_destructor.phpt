--TEST--
exit in the destructor of data that an event had
--FILE--
<?php
class D { function __destruct() { echo "destroyed\n"; exit(0); } }
$base = new EventBase; $e = Event::timer($base, function () {}, new D); $e->data = null; echo "not reached\n";
?>
--EXPECT--
destroyed
