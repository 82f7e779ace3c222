--TEST--
SIGNAL with READ is refused
--FILE--
<?php
$base = new EventBase; try { new Event($base, 10, Event::SIGNAL | Event::READ, function () {}); } catch (EventException $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
SIGNAL cannot be combined with READ or WRITE
