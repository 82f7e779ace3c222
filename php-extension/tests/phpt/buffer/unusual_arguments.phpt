--TEST--
Buffer methods convert arguments of other types and refuse invalid ones
--FILE--
<?php
$buffer = new EventBuffer;
var_dump($buffer->add(12), $buffer->read('1'), $buffer->read(0), $buffer->read(-1), $buffer->read(5));
$buffer->add("\none\ntwo");
var_dump($buffer->readLine(EventBuffer::EOL_LF), $buffer->readLine(3), $buffer->readLine(3));
var_dump($buffer->substr(1), $buffer->substr(1, 1), $buffer->substr(1, 9), $buffer->substr(-1, 1));
var_dump($buffer->substr(3, 1), @$buffer->substr(4, 1));
$buffer->freeze(true);
var_dump($buffer->read(1), $buffer->drain(1), $buffer->substr(0, 3), $buffer->length);
$buffer->unfreeze(true);
var_dump($buffer->drain(-1), $buffer->length);
try {
    $buffer->read([]);
} catch (TypeError $error) {
    echo $error->getMessage(), "\n";
}
try {
    $buffer->add();
} catch (ArgumentCountError $error) {
    echo $error->getMessage(), "\n";
}
$base = new EventBase;
[$near, $far] = EventBufferEvent::createPair($base);
$near->free();
var_dump(@$near->read(1), @$near->write('x'));
?>
--EXPECT--
bool(true)
string(1) "1"
NULL
string(1) "2"
NULL
string(0) ""
string(3) "one"
NULL
string(2) "wo"
string(1) "w"
string(2) "wo"
bool(false)
string(0) ""
bool(false)
NULL
bool(false)
string(3) "two"
int(3)
bool(true)
int(0)
EventBuffer::read(): Argument #1 ($max_bytes) must be of type int, array given
EventBuffer::add() expects exactly 1 argument, 0 given
bool(false)
bool(false)
