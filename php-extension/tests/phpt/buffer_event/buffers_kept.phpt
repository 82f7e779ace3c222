--TEST--
A buffer that is kept does not keep its buffer event, whose connection ends
--FILE--
<?php
$base = new EventBase;
$get = [
    'input' => fn ($bev) => $bev->input,
    'output' => fn ($bev) => $bev->output,
    'getInput' => fn ($bev) => $bev->getInput(),
    'getOutput' => fn ($bev) => $bev->getOutput(),
];
foreach ($get as $name => $one) {
    [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    stream_set_blocking($far, false);
    $bev = new EventBufferEvent($base, $near, EventBufferEvent::OPT_CLOSE_ON_FREE, function () {});
    $bev->enable(Event::READ);
    $buffer = $one($bev);
    unset($bev);
    $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK);
    fread($far, 1);
    echo $name, ': ', json_encode([feof($far), $buffer->length, @$buffer->add('x'), @$buffer->read(1)]), "\n";
}

// A filter keeps what is under it.
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
stream_set_blocking($far, false);
$under = new EventBufferEvent($base, $near, EventBufferEvent::OPT_CLOSE_ON_FREE);
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
$filter = EventBufferEvent::createSslFilter($under, $context, EventBufferEvent::SSL_CONNECTING);
$buffer = $under->output;
unset($under, $near);
$filter->enable(Event::READ);
$base->loop(EventBase::LOOP_NONBLOCK);
var_dump(ord(fread($far, 1000)), feof($far)); // the client's first record
unset($filter); // with which it ends, though its buffer is kept
$base->loop(EventBase::LOOP_NONBLOCK);
fread($far, 1000);
var_dump(feof($far));
?>
--EXPECT--
input: [true,0,false,null]
output: [true,0,false,null]
getInput: [true,0,false,null]
getOutput: [true,0,false,null]
int(22)
bool(false)
bool(true)
