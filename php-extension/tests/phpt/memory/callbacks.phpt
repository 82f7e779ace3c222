--TEST--
A million callbacks leave no memory behind, and no count of what they were given
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$count = 0;
$data = new stdClass;
$callback = function ($stream, $what, $data) use (&$count, $base) {
    if (++$count % 500_000 === 0) {
        $base->stop();
    }
    return "answer $count";
};
$ready = new Event($base, $near, Event::WRITE | Event::PERSIST, $callback, $data);
$ready->add();
$timer = Event::timer($base, function () use (&$timer) { $timer->add(0); });
$timer->add(0);
$base->loop();
$before = resident();
$base->loop();
grown('a million callbacks', $before);
var_dump($count);

$held = array_map(WeakReference::create(...), [$ready, $callback, $data]);
unset($ready, $callback, $data, $near);
var_dump(array_filter(array_map(fn ($one) => $one->get(), $held)));
stream_set_blocking($far, false);
var_dump(fread($far, 1), feof($far));
?>
--EXPECT--
a million callbacks: flat
int(1000000)
array(0) {
}
string(0) ""
bool(true)
