--TEST--
EventBuffer::read and copyout with a negative count take all there is
--FILE--
<?php
$b = new EventBuffer;
$b->add(str_repeat("x", 100000));
foreach ([-1, -2, PHP_INT_MIN] as $count) {
    $copy = null;
    var_dump($b->copyout($copy, $count) === strlen($copy));
}
var_dump(strlen($b->read(-2)));
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
int(100000)
