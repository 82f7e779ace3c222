--TEST--
What var_export, serialize, foreach and debug_zval_dump show of an event
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function () {}, 5);
$event->add(100);
echo serialize($event), "\n", var_export((array) $event, true), "\n";
foreach ($event as $name => $value) {
    echo $name, ' ', json_encode($value), "\n";
}
debug_zval_dump($event);
$event->free();
print_r($event);
?>
--EXPECTF--
O:5:"Event":2:{s:7:"pending";b:1;s:4:"data";i:5;}
array (
  'pending' => true,
  'data' => 5,
)
pending true
data 5
object(Event)#%d (2) refcount(%d){
  ["pending"]=>
  bool(true)
  ["data"]=>
  int(5)
}
Event Object
(
    [pending] => 
    [data] => 
)
