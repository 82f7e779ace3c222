--TEST--
readBuffer and writeBuffer
--FILE--
<?php
$base = new EventBase; [$a, $b] = EventBufferEvent::createPair($base); $x = new EventBuffer; $x->add('hello'); var_dump($a->writeBuffer($x), $x->length); $b->enable(Event::READ); $base->loop(); $y = new EventBuffer; var_dump($b->readBuffer($y), $y->read(10), $b->getInput()->length, $b->getOutput() instanceof EventBuffer, @$b->input->add('x'), $b->read(5));
var_dump($b->input === $b->input, $b->output === $b->output, $b->getInput() === $b->getInput(), $a->write('x'), $b->read(0), $b->read(-1), $b->read(5));
?>
--EXPECT--
bool(true)
int(0)
bool(true)
string(5) "hello"
int(0)
bool(true)
bool(false)
NULL
bool(true)
bool(true)
bool(false)
bool(true)
NULL
NULL
string(1) "x"
