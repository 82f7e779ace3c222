--TEST--
An exception that a callback gets from freeing another base, and catches, interrupts nothing
--FILE--
<?php
class Data {
    function __destruct() {
        throw new Exception('thrown by a destructor');
    }
}
$base = new EventBase;
$event = Event::timer($base, function () {
    $other = new EventBase;
    $connection = new EventHttpConnection($other, null, '127.0.0.1', 1);
    $connection->makeRequest(new EventHttpRequest('strlen', new Data), EventHttpRequest::CMD_GET, '/');
    try {
        $other->free();
    } catch (Exception $e) {
        echo $e->getMessage(), "\n";
    }
    $third = new EventBase;
    $timer = Event::timer($third, function () { echo "an inner loop runs\n"; });
    $timer->add(0);
    $third->loop();
});
$event->add(0);
$timer = Event::timer($base, function () { echo "so does the outer one\n"; });
$timer->add(0.01);
$base->loop();
?>
--EXPECT--
thrown by a destructor
an inner loop runs
so does the outer one
