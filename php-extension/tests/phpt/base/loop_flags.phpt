--TEST--
What each loop flag does
--FILE--
<?php
$base = new EventBase; var_dump($base->loop(), $base->loop(EventBase::LOOP_ONCE), $base->loop(EventBase::LOOP_NONBLOCK), $base->dispatch());
$e = Event::timer($base, function () { echo "once\n"; }); $e->add(0.01); $o = Event::timer($base, function () { echo "later\n"; }); $o->add(0.03);
$base->loop(EventBase::LOOP_NONBLOCK); echo "-\n"; $base->loop(EventBase::LOOP_ONCE); echo "-\n"; $base->loop();
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
bool(true)
-
once
-
later
