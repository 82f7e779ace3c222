--TEST--
An exception in the destructor of data
--FILE--
<?php
class D { function __destruct() { throw new Exception('from a destructor'); } }
$base = new EventBase; $e = Event::timer($base, function () {}, new D);
try { $e->free(); } catch (Exception $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
from a destructor
