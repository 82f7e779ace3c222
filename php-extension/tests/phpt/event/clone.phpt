--TEST--
No class can be cloned
--FILE--
<?php
$base = new EventBase;
foreach ([$base, new EventConfig, Event::timer($base, function () {}), new EventBuffer, new EventHttp($base), new EventDnsBase($base, 0)] as $o) { try { clone $o; } catch (Error $x) { echo $x->getMessage(), "\n"; } }
?>
--EXPECT--
Trying to clone an uncloneable object of class EventBase
Trying to clone an uncloneable object of class EventConfig
Trying to clone an uncloneable object of class Event
Trying to clone an uncloneable object of class EventBuffer
Trying to clone an uncloneable object of class EventHttp
Trying to clone an uncloneable object of class EventDnsBase
