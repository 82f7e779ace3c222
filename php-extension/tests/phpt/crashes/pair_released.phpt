--TEST--
Pairs, views and requests are released with their variables
--FILE--
<?php
$base = new EventBase; gc_collect_cycles(); $before = memory_get_usage();
for ($n = 0; $n < 2000; $n++) { $pair = EventBufferEvent::createPair($base); $r = new EventHttpRequest(function () {}); unset($pair, $r); if ($n % 100 == 0) $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK); }
var_dump(memory_get_usage() - $before < 10000);
?>
--EXPECT--
bool(true)
