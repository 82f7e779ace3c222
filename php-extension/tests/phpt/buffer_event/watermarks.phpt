--TEST--
Watermarks
--FILE--
<?php
$base = new EventBase; [$a, $b] = EventBufferEvent::createPair($base); $a->setWatermark(Event::READ, 5, 0); $a->setCallbacks(function ($a) { var_dump($a->read(100)); }, null, null); $a->enable(Event::READ);
$b->write('abc'); $base->loop(); echo "-\n"; $b->write('de'); $base->loop();
$a->setCallbacks(null, null, null); $a->setWatermark(Event::READ, 0, 3); $b->write('abcdef'); $base->loop(); var_dump($a->input->length);
?>
--EXPECT--
-
string(5) "abcde"
int(3)
