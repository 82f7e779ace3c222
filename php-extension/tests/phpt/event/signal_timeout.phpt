--TEST--
A signal event says whether the signal came or its time is over
--SKIPIF--
<?php if (!extension_loaded('posix')) die('skip needs posix'); ?>
--FILE--
<?php
$base = new EventBase;
foreach ([Event::SIGNAL, Event::SIGNAL | Event::PERSIST] as $flags) {
    $event = new Event($base, SIGUSR1, $flags, function ($signal, $what) {
        echo $signal === SIGUSR1 ? 'SIGUSR1' : $signal, $what === Event::TIMEOUT ? ' in vain' : " $what", "\n";
    });
    $event->add(10);
    posix_kill(getmypid(), SIGUSR1);
    $base->loop(EventBase::LOOP_ONCE);
    $event->del();
    $event->add(0.01);
    $base->loop(EventBase::LOOP_ONCE);
}
?>
--EXPECT--
SIGUSR1 8
SIGUSR1 in vain
SIGUSR1 8
SIGUSR1 in vain
