--TEST--
Objects in cycles at the end of the script, where PHP frees the base first
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves a cycle at the end to its allocator'); ?>
--FILE--
<?php
// PHP frees the objects of a cycle from the highest number to the lowest. The base gets the highest.
for ($n = 0; $n < 10; $n++) {
    $numbers[] = new stdClass;
}
while ($numbers) {
    array_shift($numbers); // the last to go is the first to be used again
}
$base = new EventBase;
$bev = new EventBufferEvent($base, null, 0, function () use (&$bev, $base) {});
$bev->setCallbacks(fn () => $bev, null, null, $bev);
$event = Event::timer($base, function () use (&$event, $base) {});
$event->data = $event;
$event->add(10);
var_dump(spl_object_id($base) > max(spl_object_id($bev), spl_object_id($event)));
?>
--EXPECT--
bool(true)
