--TEST--
A reference to a property that is computed is a reference to its present value
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function () {});
$event->add(100);
$pending = &$event->pending;
var_dump($pending);
$pending = 'other';
var_dump($event->pending);
$event->del();
var_dump($pending, $event->pending);

foreach ([fn () => $event->pending |= true, fn () => $event->pending .= 'x'] as $change) {
    try {
        $change();
    } catch (Error $e) {
        echo $e->getMessage(), "\n";
    }
}
foreach ($event as $name => &$value) {
    $value = "new $name";
}
unset($value);
echo json_encode($event), "\n";

$buffer = new EventBuffer;
$buffer->add('text');
function change(&$value) { $value++; }
change($buffer->length);
var_dump($buffer->length);
$bev = new EventBufferEvent($base);
$input = &$bev->input;
$input = null;
var_dump($bev->input instanceof EventBuffer);
?>
--EXPECT--
bool(true)
bool(true)
string(5) "other"
bool(false)
Cannot write property Event::$pending
Cannot write property Event::$pending
{"pending":false,"data":"new data"}
int(4)
bool(true)
