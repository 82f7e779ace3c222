--TEST--
unset() leaves the data of an event as they are
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function ($data) { var_dump($data); }, 'kept');
unset($event->data);
var_dump(isset($event->data), $event->data);
echo json_encode($event), "\n";
$event->add(0);
$base->loop();
$event->data = null;
unset($event->data);
var_dump($event->data);
?>
--EXPECT--
bool(true)
string(4) "kept"
{"pending":false,"data":"kept"}
string(4) "kept"
NULL
