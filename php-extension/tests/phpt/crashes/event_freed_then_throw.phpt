--TEST--
An event whose callback frees it and throws
--FILE--
<?php
$base = new EventBase;
$e = Event::timer($base, function () use (&$e) { $e = null; throw new Exception('gone'); });
$e->add(0);
try { $base->loop(); } catch (Exception $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECTF--

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
gone
