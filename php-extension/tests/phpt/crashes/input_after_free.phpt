--TEST--
A buffer object of a freed buffer event
--FILE--
<?php
$base = new EventBase; [$one, $other] = EventBufferEvent::createPair($base);
$input = $one->getInput(); $one->free(); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK);
var_dump($input->length, @$input->add('x'), $input->read(10));
?>
--EXPECT--
int(0)
bool(false)
NULL
