--TEST--
A message that tells to call a method gives its name in PHP
--SKIPIF--
<?php if (!extension_loaded('pcntl')) die('skip needs pcntl'); ?>
--FILE--
<?php
$base = new EventBase;
$pid = pcntl_fork();
if ($pid === 0) { $base->loop(); $base->reInit(); exit(0); } // the child can free it then
pcntl_waitpid($pid, $status);
Event::timer($base, 'strlen')->setPriority(3);
$config = new EventConfig;
foreach (['poll', 'select'] as $method) $config->avoidMethod($method);
(new Event(new EventBase($config), fopen(__FILE__, 'r'), Event::READ, 'strlen'))->add();
?>
--EXPECTF--
Warning: EventBase::loop(): %s reInit() on it first in %s on line %d

Warning: Event::setPriority(): %s EventBase::priorityInit in %s on line %d

Warning: Event::add(): %s EventConfig::avoidMethod("epoll") in %s on line %d
