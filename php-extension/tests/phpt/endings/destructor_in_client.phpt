--TEST--
What ends in the destructor of a client's request data ends the loop, too
--FILE--
<?php
class D
{
    function __construct(private Closure $end) {}
    function __destruct() { ($this->end)(); }
}

/** Runs a loop in which a request ends whose data has a destructor. */
function run(Closure $end): void
{
    $base = new EventBase;
    $http = new EventHttp($base);
    $http->setDefaultCallback(fn ($request) => $request->sendReply(200, 'OK'));
    $listener = stream_socket_server('tcp://127.0.0.1:0');
    $http->accept($listener);
    $port = (int) substr(strrchr(stream_socket_get_name($listener, false), ':'), 1);
    $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
    $request = new EventHttpRequest(function () { echo "answered\n"; }, new D($end));
    $connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
    unset($request);
    $late = Event::timer($base, function () use ($base) {
        echo "late\n";
        $base->exit();
    });
    $late->add(1);
    try {
        $base->loop();
    } catch (Exception $exception) {
        echo $exception->getMessage(), "\n";
    }
    var_dump($late->pending);
}

run(function () { throw new Exception('from a destructor'); });
run(function () {
    try {
        throw new Exception('not seen');
    } catch (Exception) {
        echo "caught in the destructor\n";
    }
});
run(function () { exit("exit in a destructor\n"); });
?>
--EXPECTF--
answered

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
from a destructor
bool(true)
answered
caught in the destructor
late
bool(false)
answered
exit in a destructor
