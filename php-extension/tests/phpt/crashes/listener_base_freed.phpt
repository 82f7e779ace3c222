--TEST--
The base that EventListener::getBase gives is the listener's own
--FILE--
<?php
$base = new EventBase; $l = new EventListener($base, function () {}, null, EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$same = $l->getBase(); $same->free(); var_dump(@$base->loop(EventBase::LOOP_NONBLOCK), @$l->enable()); unset($base, $same, $l); echo "end\n";
?>
--EXPECT--
bool(false)
bool(false)
end
