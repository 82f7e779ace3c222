--TEST--
A destructor that runs when another has thrown in a loop may run a loop of its own
--FILE--
<?php
ini_set('zend.exception_ignore_args', '1'); // or the exception holds the data
class Data {
    function __construct(private string $name) {}
    function __destruct() {
        echo $this->name, "\n";
        if ($this->name === 'first') {
            throw new Exception('thrown');
        }
        $base = new EventBase;
        $timer = Event::timer($base, function () { echo "its timer fires\n"; });
        $timer->add(0);
        $base->loop();
    }
}
$base = new EventBase;
$connection = new EventHttpConnection($base, null, '127.0.0.1', 1); // nobody listens
foreach (['first', 'second'] as $name) {
    $request = new EventHttpRequest(function () {}, new Data($name));
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
}
unset($request);
// The connection, and with it both requests, goes when the callback has returned.
$timer = Event::timer($base, function () use (&$timer) { $timer->data = null; }, $connection);
unset($connection);
$timer->add(0);
try {
    $base->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
var_dump($base->gotStop());
$timer = null; // no cycle at the end
?>
--EXPECTF--
first

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
second
its timer fires
thrown
bool(true)
