--TEST--
A buffer event that no variable holds is not collected while output waits
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$bev = new EventBufferEvent($base, $near);
$bev->setCallbacks(null, function () use (&$bev) { echo "written\n"; }, null);
$held = WeakReference::create($bev);
$bev->write(str_repeat('x', 1_000_000)); // more than the socket takes
$base->loop(EventBase::LOOP_NONBLOCK);
unset($bev, $near);
gc_collect_cycles();
var_dump($held->get() !== null);

stream_set_blocking($far, false);
$read = 0;
$reader = new Event($base, $far, Event::READ | Event::PERSIST, function ($far) use (&$read, $base) {
    $read += strlen(fread($far, 100_000));
    if ($read === 1_000_000) {
        $base->exit();
    }
});
$reader->add(30);
$base->loop();
$reader->del();
$base->loop(); // until nothing is due
var_dump($read, $held->get()->output->length);
gc_collect_cycles();
var_dump($held->get());
?>
--EXPECT--
bool(true)
written
int(1000000)
int(0)
NULL
