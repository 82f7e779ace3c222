--TEST--
length and contiguous_space cannot be written
--FILE--
<?php
$b = new EventBuffer; foreach (['length', 'contiguous_space'] as $p) { try { $b->$p = 5; } catch (Error $x) { echo $x->getMessage(), "\n"; } } $b->expand(100); $b->lock(); $b->unlock(); $b->enableLocking(); var_dump($b->length);
?>
--EXPECT--
Cannot write property EventBuffer::$length
Cannot write property EventBuffer::$contiguous_space
int(0)
