--TEST--
isset, empty and array_column on properties that are computed, and on those that are not there
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function () {});
$seen = fn () => var_dump(
    isset($event->pending), empty($event->pending), property_exists($event, 'pending'),
    array_column([$event], 'pending'), $event->pending ?? 'none'
);
$event->add(100);
$seen();
$event->free();
$seen();
var_dump(isset($event->data), isset($event->nothing), empty($event->nothing), $event->nothing ?? 'none');
var_dump(array_column([$event], 'nothing'), property_exists($event, 'nothing'));

$buffer = new EventBuffer;
var_dump(isset($buffer->length), empty($buffer->length), isset($buffer->nothing));
$bev = new EventBufferEvent($base);
var_dump(isset($bev->fd), isset($bev->input), isset($bev->input->length), isset($bev->input->nothing));
?>
--EXPECT--
bool(true)
bool(false)
bool(true)
array(1) {
  [0]=>
  bool(true)
}
bool(true)
bool(false)
bool(true)
bool(true)
array(1) {
  [0]=>
  NULL
}
string(4) "none"
bool(false)
bool(false)
bool(true)
string(4) "none"
array(0) {
}
bool(false)
bool(true)
bool(true)
bool(false)
bool(false)
bool(true)
bool(true)
bool(false)
