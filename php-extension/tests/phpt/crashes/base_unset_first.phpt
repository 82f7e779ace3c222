--TEST--
Objects outlive the variable of their base
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () {}); $e->add(1);
$bev = new EventBufferEvent($base, null, EventBufferEvent::OPT_CLOSE_ON_FREE);
$l = new EventListener($base, function () {}, null, EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$http = new EventHttp($base); $dns = new EventDnsBase($base, 0);
unset($base);
var_dump($e->pending, $e->del(), $bev->getEnabled(), $l->disable(), $l->getBase() instanceof EventBase);
echo "end\n";
?>
--EXPECT--
bool(true)
bool(true)
int(4)
bool(true)
bool(true)
end
