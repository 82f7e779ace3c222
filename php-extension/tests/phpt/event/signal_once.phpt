--TEST--
A signal event without PERSIST is deleted when it fires, and called for each time that the signal came
--SKIPIF--
<?php if (!extension_loaded('posix') || !extension_loaded('pcntl')) die('skip needs posix and pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
$event = new Event($base, SIGUSR1, Event::SIGNAL, function () use (&$event) {
    echo 'called, pending: ', json_encode($event->pending), "\n";
});
for ($round = 0; $round < 2; $round++) {
    $event->add();
    for ($n = 0; $n < 3; $n++) {
        posix_kill(posix_getpid(), SIGUSR1);
    }
    $base->loop();
    echo "the loop ends\n";
}

// One that deletes itself is not called again.
$event = new Event($base, SIGUSR1, Event::SIGNAL, function () use (&$event) {
    echo "called\n";
    $event->del();
});
$event->add();
posix_kill(posix_getpid(), SIGUSR1);
posix_kill(posix_getpid(), SIGUSR1);
$base->loop();
$event = null; // no cycle at the end
?>
--EXPECT--
called, pending: false
called, pending: false
called, pending: false
the loop ends
called, pending: false
called, pending: false
called, pending: false
the loop ends
called
