--TEST--
The property data is an ordinary property
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function ($arg) { var_dump($arg); }, ['a' => 1]);
$e->data['b'] = 2; $ref = &$e->data; $ref[] = 3; $e->add(0); $base->loop();
?>
--EXPECT--
array(3) {
  ["a"]=>
  int(1)
  ["b"]=>
  int(2)
  [0]=>
  int(3)
}
