--TEST--
A number that no descriptor or signal can have is refused wherever one is taken
--FILE--
<?php
$base = new EventBase;
$event = Event::timer($base, function () {});
$buffer = new EventBuffer;
$buffer->add('text');
$http = new EventHttp($base);
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$f = function () {};
[$level, $option] = [EventUtil::SOL_SOCKET, EventUtil::SO_KEEPALIVE];
$throw = [
    fn ($fd) => new Event($base, $fd, Event::READ, $f),
    fn ($fd) => $event->set($base, $fd, Event::READ, $f),
    fn ($fd) => $event->set($base, $fd),
    fn ($fd) => $buffer->write($fd),
    fn ($fd) => $buffer->readFrom($fd),
    fn ($fd) => new EventBufferEvent($base, $fd),
    fn ($fd) => new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE),
    fn ($fd) => EventBufferEvent::sslSocket($base, $fd, $context, EventBufferEvent::SSL_CONNECTING),
    fn ($fd) => new EventListener($base, $f, null, 0, -1, $fd),
    fn ($fd) => $http->accept($fd),
    fn ($fd) => EventUtil::getSocketFd($fd),
    fn ($fd) => EventUtil::getSocketName($fd, $address, $port),
    fn ($fd) => EventUtil::setSocketOption($fd, $level, $option, 1),
    fn ($fd) => EventUtil::getLastSocketErrno($fd),
    fn ($fd) => EventUtil::getLastSocketError($fd),
];
$answer_false = [
    fn ($fd) => @EventUtil::createSocket($fd),
    fn ($signal) => @Event::signal($base, $signal, $f),
    fn ($signal) => @$event->set($base, $signal, Event::SIGNAL, $f),
    fn ($signal) => @(new Event($base, $signal, Event::SIGNAL, $f))->add(),
];
foreach ([-1, PHP_INT_MIN, 1 << 31, (1 << 32) + 10, PHP_INT_MAX] as $number) {
    foreach ($throw as $n => $take) {
        try {
            $take($number);
            echo "$n took $number\n";
        } catch (Exception $e) {
            if ($e->getMessage() !== "$number is not a descriptor: give a number from 0 to 2147483647") {
                echo $n, ' ', $e->getMessage(), "\n";
            }
        }
    }
    foreach ($answer_false as $n => $take) {
        if ($take($number) !== false) {
            echo "$n took the number $number\n";
        }
    }
}
echo "end\n";
?>
--EXPECT--
end
