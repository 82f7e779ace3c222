--TEST--
setCallbacks without data keeps the former data; free lets go of data and callbacks
--FILE--
<?php
$base = new EventBase;
[$near, $far] = EventBufferEvent::createPair($base);
$data = new stdClass;
$first = function () {};
$read = function ($near, $given) use ($base) {
    var_dump($near->read(10), $given);
    $base->stop();
};
$others = [fn () => $base, fn () => $base];
$held = array_map(WeakReference::create(...), [$data, $read, ...$others]);
$near->setCallbacks($first, null, null, $data);
$near->setCallbacks($read, ...$others);
unset($data, $read, $others);
$near->enable(0xff); // READ and WRITE are those that count
var_dump($near->getEnabled() === (Event::READ | Event::WRITE));
$far->write('text');
$base->loop();
$near->free();
foreach ($held as $one) {
    var_dump($one->get());
}
?>
--EXPECTF--
bool(true)
string(4) "text"
object(stdClass)#%d (0) {
}
NULL
NULL
NULL
NULL
