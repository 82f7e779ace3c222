--TEST--
Signal events of both kinds
--SKIPIF--
<?php if (!extension_loaded('posix') || !extension_loaded('pcntl')) die('skip needs posix and pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
$e = Event::signal($base, SIGUSR1, function ($signum, $arg) { var_dump($signum === SIGUSR1, $arg); }, 'a'); $e->add();
$o = new Event($base, SIGUSR2, Event::SIGNAL, function ($signum, $what, $arg) { var_dump($signum === SIGUSR2, $what, $arg); }, 'b'); $o->add();
posix_kill(getmypid(), SIGUSR1); $base->loop(EventBase::LOOP_ONCE); posix_kill(getmypid(), SIGUSR2); $base->loop(EventBase::LOOP_ONCE);
var_dump($e->pending, $o->pending, @Event::signal($base, 70, function () {}));
?>
--EXPECT--
bool(true)
string(1) "a"
bool(true)
int(8)
string(1) "b"
bool(true)
bool(false)
bool(false)
