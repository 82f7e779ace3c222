--TEST--
A call that is refused does not close the stream or the number that it was given
--FILE--
<?php
$freed = new EventBase;
$freed->free();
$base = new EventBase;
$client = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$calls = [
    fn($socket) => (new EventHttp($base))->accept($socket), // not a TCP socket
    fn($socket) => new EventBufferEvent($freed, $socket, EventBufferEvent::OPT_CLOSE_ON_FREE),
    fn($socket) => EventBufferEvent::sslSocket($base, $socket, $client,
        EventBufferEvent::SSL_ACCEPTING, EventBufferEvent::OPT_CLOSE_ON_FREE), // of the other side
];
foreach ($calls as $call) {
    foreach ([false, true] as $as_number) {
        [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
        try {
            var_dump(@$call($as_number ? EventUtil::getSocketFd($near) : $near));
        } catch (EventException $exception) {
            echo get_class($exception), "\n";
        }
        var_dump(fwrite($near, 'x'), fread($far, 1));
    }
}
?>
--EXPECT--
bool(false)
int(1)
string(1) "x"
bool(false)
int(1)
string(1) "x"
EventException
int(1)
string(1) "x"
EventException
int(1)
string(1) "x"
bool(false)
int(1)
string(1) "x"
bool(false)
int(1)
string(1) "x"
