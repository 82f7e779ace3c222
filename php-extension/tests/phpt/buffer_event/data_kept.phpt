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
$held = [WeakReference::create($data), WeakReference::create($read)];
$near->setCallbacks($first, null, null, $data);
$near->setCallbacks($read, null, null);
unset($data, $read);
$near->enable(0xff); // READ and WRITE are those that count
var_dump($near->getEnabled() === (Event::READ | Event::WRITE));
$far->write('text');
$base->loop();
$near->free();
var_dump($held[0]->get(), $held[1]->get());
?>
--EXPECTF--
bool(true)
string(4) "text"
object(stdClass)#%d (0) {
}
NULL
NULL
