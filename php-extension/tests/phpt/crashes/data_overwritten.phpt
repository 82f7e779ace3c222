--TEST--
Data that is replaced is freed at once
--FILE--
<?php
class D { function __destruct() { echo "freed\n"; } }
$base = new EventBase; $e = Event::timer($base, function () {}, new D); $e->setTimer($base, function () {}, new D); $e->data = new D; $e->data = null; echo "end\n";
?>
--EXPECT--
freed
freed
freed
end
