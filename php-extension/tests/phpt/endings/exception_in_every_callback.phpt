--TEST--
An exception in any kind of callback ends the loop at once and comes out of it
--SKIPIF--
<?php if (!extension_loaded('posix') || !extension_loaded('pcntl')) die('skip needs posix and pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
$throws = fn ($text) => function () use ($text) { throw new Exception($text); };
$run = function (float $seconds = 10) use ($base) {
    $end = Event::timer($base, function () use ($base) { echo "nothing came\n"; $base->exit(); });
    $end->add($seconds);
    try {
        @$base->loop();
    } catch (Exception $e) {
        echo $e->getMessage(), $end->pending ? '' : ', but the loop went on', "\n";
    }
};

$timer = Event::timer($base, $throws('timer'));
$timer->add(0);
$run();

[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$descriptor = new Event($base, $near, Event::WRITE, $throws('descriptor'));
$descriptor->add();
$run();

$signal = Event::signal($base, SIGUSR1, $throws('signal'));
$signal->add();
posix_kill(getmypid(), SIGUSR1);
$run();
$signal->del();

[$near, $far] = EventBufferEvent::createPair($base);
$near->setCallbacks($throws('read'), null, null);
$near->enable(Event::READ);
$far->write('x');
$run();
$near->setCallbacks(null, $throws('write'), null);
$near->write('x');
$far->enable(Event::READ);
$run();
$near->setCallbacks(null, null, $throws('event'));
$near->setTimeouts(0.01, 0);
$near->enable(Event::READ);
$run();
unset($near, $far);

$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setCallback('/throws', $throws('route'));
$http->setDefaultCallback(function ($request) { $request->sendReply(200, 'OK'); });
$client = stream_socket_client("tcp://127.0.0.1:$port");
fwrite($client, "GET /throws HTTP/1.0\r\n\r\n");
$run();

$connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
$connection->setCloseCallback($throws('close'));
$request = new EventHttpRequest(function () use ($base) { $base->exit(); });
$connection->makeRequest($request, EventHttpRequest::CMD_GET, '/');
$run();
unset($http); // which closes the connection
$run();
$run(0.1);
?>
--EXPECT--
timer
descriptor
signal
read
write
event
route
close
nothing came
