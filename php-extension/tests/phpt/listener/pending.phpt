--TEST--
A listener that no variable holds is not collected until it is freed
--FILE--
<?php
$base = new EventBase;
(function () use ($base) {
    $listener = new EventListener($base, function ($given, $fd) use (&$listener, $base) {
        var_dump($given === $listener);
        new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE);
        $given->free();
    }, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
    $listener->getSocketName($GLOBALS['address'], $GLOBALS['port']);
    $GLOBALS['held'] = WeakReference::create($listener);
})();
gc_collect_cycles();
$client = stream_socket_client("tcp://$address:$port");
$base->exit(20);
$base->loop(EventBase::LOOP_ONCE);
gc_collect_cycles();
var_dump($held->get());
?>
--EXPECT--
bool(true)
NULL
