--TEST--
A number that does not fit into an int of C is named in the message
--FILE--
<?php
set_error_handler(function (int $level, string $message) {
    echo $message, "\n";
    return true;
});
[$more, $less] = [1 << 40, -(1 << 40)];
$base = new EventBase;
var_dump(Event::signal($base, $more, 'strlen'));
$event = new Event($base, $less, Event::SIGNAL, 'strlen');
var_dump($event->pending);
$timer = Event::timer($base, 'strlen');
var_dump($timer->setPriority($more), $timer->setPriority($less));
var_dump($base->priorityInit($more));
$bev = new EventBufferEvent($base);
var_dump($bev->setPriority($more), $bev->connectHost(null, '127.0.0.1', 80, $more));
foreach ([$more, $less, 65536, -1] as $port) {
    try {
        new EventHttpConnection($base, null, '127.0.0.1', $port);
    } catch (EventException $exception) {
        echo $exception->getMessage(), "\n";
    }
}
$socket = stream_socket_server('tcp://127.0.0.1:0');
[$level, $option] = [EventUtil::SOL_SOCKET, EventUtil::SO_RCVBUF];
var_dump(
    EventUtil::setSocketOption($socket, $more, $option, 1),
    EventUtil::setSocketOption($socket, $level, $less, 1),
    EventUtil::setSocketOption($socket, $level, $option, $more),
    EventUtil::setSocketOption($socket, $level, $option, "$less"),
);

$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($request) use ($base, $more, $less) {
    $request->sendReply($more, 'Much');
    $request->sendReplyStart($less, 'Less');
    $request->sendError(65536);
    $base->stop();
});
$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET / HTTP/1.0\r\n\r\n");
$base->exit(30);
$base->loop();

// Where the most or the least there is means the same.
(new EventConfig)->setMaxDispatchInterval(1, $more, $less);
$listener = new EventListener($base, 'strlen', null, 0, $less, '127.0.0.1:0');
var_dump($listener->fd > 0);
?>
--EXPECT--
Event::signal(): Invalid signal 1099511627776
bool(false)
Event::__construct(): Invalid signal -1099511627776
NULL
Event::setPriority(): Invalid priority 1099511627776
Event::setPriority(): Invalid priority -1099511627776
bool(false)
bool(false)
EventBase::priorityInit(): Invalid number of priorities 1099511627776
bool(false)
EventBufferEvent::connectHost(): Invalid address family 1099511627776
bool(false)
bool(false)
Invalid port 1099511627776: give a number from 0 to 65535
Invalid port -1099511627776: give a number from 0 to 65535
Invalid port 65536: give a number from 0 to 65535
Invalid port -1: give a number from 0 to 65535
EventUtil::setSocketOption(): Invalid level 1099511627776
EventUtil::setSocketOption(): Invalid option -1099511627776
EventUtil::setSocketOption(): Invalid value 1099511627776
EventUtil::setSocketOption(): Invalid value -1099511627776
bool(false)
bool(false)
bool(false)
bool(false)
EventHttpRequest::sendReply(): Invalid status 1099511627776
EventHttpRequest::sendReplyStart(): Invalid status -1099511627776
EventHttpRequest::sendError(): Invalid status 65536
bool(true)
