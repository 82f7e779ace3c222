--TEST--
setTimer replaces the callback and the data
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function () { echo "first\n"; }, 'one');
foreach ([['two'], []] as $data) {
    var_dump($event->setTimer($base, function ($data) { var_dump($data); }, ...$data));
    $event->add(0);
    $base->loop();
}
?>
--EXPECT--
bool(true)
string(3) "two"
bool(true)
NULL
