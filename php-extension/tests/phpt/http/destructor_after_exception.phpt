--TEST--
A destructor that runs when the callback of a request has thrown may run a loop
--FILE--
<?php
ini_set('zend.exception_ignore_args', '1'); // or the exception holds the data
class Data {
    function __destruct() {
        $base = new EventBase;
        $timer = Event::timer($base, function () { echo "its timer fires\n"; });
        $timer->add(0);
        $base->loop();
    }
}
$base = new EventBase;
$connection = new EventHttpConnection($base, null, '127.0.0.1', 1); // nobody listens
$request = new EventHttpRequest(function () { throw new Exception('thrown'); }, new Data);
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
unset($request);
try {
    $base->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
var_dump($base->gotStop());
?>
--EXPECTF--

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
its timer fires
thrown
bool(true)
