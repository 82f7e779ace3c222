--TEST--
A forked child calls reInit first
--SKIPIF--
<?php if (!extension_loaded('pcntl')) die('skip needs pcntl'); ?>
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () { echo getmypid() === $GLOBALS['parent'] ? "parent\n" : "child\n"; }); $e->add(0.05); $parent = getmypid();
$pid = pcntl_fork();
if ($pid === 0) { var_dump(@$base->loop()); $base->reInit(); $base->loop(); exit(0); }
pcntl_waitpid($pid, $status); $base->loop(); var_dump(pcntl_wexitstatus($status));
?>
--EXPECT--
bool(false)
child
parent
int(0)
