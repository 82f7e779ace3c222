--TEST--
Other negative numbers of bytes read everything, too
--FILE--
<?php
foreach ([-2, PHP_INT_MIN] as $count) {
    $buffer = new EventBuffer;
    $buffer->add('abc');
    var_dump($buffer->copyout($data, $count), $data);
    var_dump($buffer->read($count), $buffer->length);
}
?>
--EXPECT--
int(3)
string(3) "abc"
string(3) "abc"
int(0)
int(3)
string(3) "abc"
string(3) "abc"
int(0)
