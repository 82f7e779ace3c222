--TEST--
json_encode of events
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () {}, $base); $o = Event::timer($base, function () {}, $e); $e->add(5);
echo json_encode([5 => $e, 7 => $o]), "\n"; $o->data = $o; var_dump(json_encode($o), json_last_error_msg()); $o->data = null; $e->free(); echo json_encode($e), "\n";
?>
--EXPECT--
{"5":{"pending":true,"data":{}},"7":{"pending":false,"data":{"pending":true,"data":{}}}}
bool(false)
string(18) "Recursion detected"
{"pending":null,"data":null}
