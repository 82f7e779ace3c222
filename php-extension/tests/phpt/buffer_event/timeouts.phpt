--TEST--
Read and write time-outs
--FILE--
<?php
$base = new EventBase; [$a, $b] = EventBufferEvent::createPair($base); $a->setCallbacks(null, null, function ($a, $what) { var_dump($what, $a->getEnabled()); }); var_dump($a->setTimeouts(0.02, 0)); $a->enable(Event::READ); $base->loop();
$b->setCallbacks(null, null, function ($b, $what) { var_dump($what, $b->getEnabled()); }); var_dump($b->setTimeouts(0, 0.02)); $b->write('nobody reads it'); $base->loop();
?>
--EXPECT--
bool(true)
int(65)
int(4)
bool(true)
int(66)
int(0)
