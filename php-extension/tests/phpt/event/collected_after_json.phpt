--TEST--
Collecting an event does not free data that others still use, even after json_encode
--FILE--
<?php
$base = new EventBase;
$kept = new stdClass;
$kept->text = 'still here';
$event = Event::timer($base, function () use (&$event) {}, $kept);
json_encode($event);
unset($event);
var_dump(gc_collect_cycles() > 0);
$other = new stdClass;
$other->text = 'another';
var_dump($kept->text);
?>
--EXPECT--
bool(true)
string(10) "still here"
