--TEST--
EventBuffer may be extended
--FILE--
<?php
class Mine extends EventBuffer { public $name = 'mine'; function twice($t) { $this->add($t . $t); return $this; } } $m = new Mine; var_dump($m->twice('ab')->length, $m->name, $m instanceof EventBuffer, $m->read(9));
?>
--EXPECT--
int(4)
string(4) "mine"
bool(true)
string(4) "abab"
