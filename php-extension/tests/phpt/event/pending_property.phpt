--TEST--
The property pending cannot be written, unset or referenced
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () {});
foreach ([function () use ($e) { $e->pending = true; }, function () use ($e) { unset($e->pending); }] as $f) { try { $f(); } catch (Error $x) { echo $x->getMessage(), "\n"; } }
var_dump(isset($e->pending), empty($e->pending), $e->pending); var_dump($e);
?>
--EXPECT--
Cannot write property Event::$pending
Cannot unset property Event::$pending
bool(true)
bool(true)
bool(false)
object(Event)#3 (2) {
  ["pending"]=>
  bool(false)
  ["data"]=>
  NULL
}
