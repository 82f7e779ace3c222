--TEST--
A million callbacks leave no memory behind
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$count = 0;
$ready = new Event($base, $near, Event::WRITE | Event::PERSIST, function ($stream, $what, $data) use (&$count, $base) {
    if (++$count % 500_000 === 0) {
        $base->stop();
    }
}, ['data']);
$ready->add();
$timer = Event::timer($base, function () use (&$timer) { $timer->add(0); });
$timer->add(0);
$base->loop();
$before = resident();
$base->loop();
grown('a million callbacks', $before, 500_000);
var_dump($count);
?>
--EXPECT--
a million callbacks: flat
int(1000000)
