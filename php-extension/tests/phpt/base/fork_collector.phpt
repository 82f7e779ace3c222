--TEST--
In a forked child the collector leaves alone what may call after reInit()
--SKIPIF--
<?php if (!extension_loaded('pcntl')) die('skip needs pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
(function () use ($base, $near, &$other) {
    $bev = new EventBufferEvent($base, $near);
    $bev->setCallbacks(function () use (&$bev) {
        echo 'read: ', $bev->read(9), "\n";
        $bev->free();
    }, null, null);
    $bev->enable(Event::READ);
    [$half, $other] = EventBufferEvent::createPair($base);
    $half->setCallbacks(null, function () use (&$half) {
        echo "written\n";
        $half->free();
    }, null);
    $half->write('bytes');
    $timer = Event::timer($base, function () use (&$timer) { echo "timer\n"; });
    $timer->add(0.2);
})();
$child = pcntl_fork();
if ($child === 0) {
    gc_collect_cycles();
    $base->reInit();
    $other->enable(Event::READ);
    fwrite($far, 'bytes');
    $base->loop();
    gc_collect_cycles();
    exit;
}
pcntl_waitpid($child, $status);
var_dump($status);
$base->free();
gc_collect_cycles();
?>
--EXPECT--
written
read: bytes
timer
int(0)
