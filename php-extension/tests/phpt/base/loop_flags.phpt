--TEST--
What each loop flag does; bits that are no flags do nothing
--FILE--
<?php
$base = new EventBase; var_dump($base->loop(), $base->loop(EventBase::LOOP_ONCE), $base->loop(EventBase::LOOP_NONBLOCK), $base->dispatch());
$o = Event::timer($base, function () { echo "later\n"; });
$e = Event::timer($base, function () use ($o) { echo "once\n"; $o->add(0); });
$e->add(5); $base->loop(EventBase::LOOP_NONBLOCK); echo "-\n";
$e->add(0.01); $base->loop(EventBase::LOOP_ONCE); echo "-\n"; $base->loop();
$e->add(5); var_dump($base->loop(EventBase::LOOP_NONBLOCK | 1 << 40)); $e->del();
$o->add(0.01); var_dump($base->loop(-1)); // as without flags
foreach ([0xf8, 1 << 40] as $unknown) { $o->add(0); var_dump($base->loop($unknown)); }
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
bool(true)
later
bool(true)
later
bool(true)
later
bool(true)
