--TEST--
The arguments of each kind of event
--FILE--
<?php
$base = new EventBase; [$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$show = fn ($name) => function (...$args) use ($name) { echo $name, ': ', implode(', ', array_map(fn ($a) => is_resource($a) ? 'stream' : var_export($a, true), $args)), "\n"; };
fwrite($b, 'x');
$events = [new Event($base, $a, Event::READ, $show('read'), 'd'), new Event($base, $a, Event::WRITE, $show('write')), new Event($base, -1, Event::TIMEOUT, $show('timeout'), 5), Event::timer($base, $show('timer'), [1])];
foreach ($events as $n => $e) { $e->add($n > 1 ? 0 : -1); $base->loop(EventBase::LOOP_ONCE); }
?>
--EXPECT--
read: stream, 2, 'd'
write: stream, 4, NULL
timeout: -1, 1, 5
timer: array (
  0 => 1,
)
