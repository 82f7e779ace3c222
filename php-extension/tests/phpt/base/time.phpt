--TEST--
The cached time of a base
--FILE--
<?php
$base = new EventBase; $t = $base->getTimeOfDayCached(); var_dump(is_float($t), abs($t - microtime(true)) < 1, $base->updateCacheTime(), $base->resume());
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
