--TEST--
Every method of a freed event answers
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () {}, 'data'); $e->add(1); $e->free(); $e->free();
var_dump($e->pending, $e->data, @$e->pending(1), @$e->setPriority(0), @$e->removeTimer(), @$base->set($e), @$e->add(), @$e->del());
$e->data = 5; echo json_encode($e), "\n";
?>
--EXPECT--
NULL
NULL
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
{"pending":null,"data":5}
