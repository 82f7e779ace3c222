--TEST--
Every method of a freed base answers
--FILE--
<?php
$base = new EventBase; $base->free(); $base->free();
var_dump(@$base->loop(), @$base->dispatch(), @$base->getFeatures(), @$base->gotStop(), @$base->gotExit(), @$base->priorityInit(2), @$base->reInit(), @$base->exit(), @$base->stop(), @$base->resume(), @$base->updateCacheTime());
try { new EventBufferEvent($base); } catch (EventException $x) { echo "refused\n"; }
var_dump(@Event::timer($base, function () {}));
?>
--EXPECT--
bool(false)
bool(false)
int(11)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
refused
bool(false)
