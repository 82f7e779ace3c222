--TEST--
What unserialize() puts into the property pending of an event is not shown
--FILE--
<?php
$event = unserialize('O:5:"Event":2:{s:7:"pending";s:6:"a text";s:4:"data";s:4:"kept";}');
var_dump($event->pending);
echo json_encode($event), "\n";
var_dump((array) $event);
?>
--EXPECT--
NULL
{"pending":null,"data":"kept"}
array(2) {
  ["pending"]=>
  NULL
  ["data"]=>
  string(4) "kept"
}
