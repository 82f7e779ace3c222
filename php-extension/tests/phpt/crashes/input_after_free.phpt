--TEST--
The buffer object of a buffer event that was freed with bytes in it
--FILE--
<?php
$base = new EventBase;
[$one, $other] = EventBufferEvent::createPair($base);
$one->enable(Event::READ);
$other->write('data');
$base->loop(EventBase::LOOP_NONBLOCK);
$input = $one->getInput();
var_dump($input->length);
$one->free();
var_dump($input->length, @$input->add('x'), $input->read(10));
$base->loop(EventBase::LOOP_NONBLOCK); // where libevent frees it
var_dump($input->length, @$input->add('x'), $input->read(10));
?>
--EXPECT--
int(4)
int(0)
bool(false)
NULL
int(0)
bool(false)
NULL
