--TEST--
Without OPT_CLOSE_ON_FREE the stream stays open, with it it is closed
--FILE--
<?php
foreach ([0, EventBufferEvent::OPT_CLOSE_ON_FREE] as $options) { $base = new EventBase; [$x, $y] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); $b = new EventBufferEvent($base, $x, $options); $b->free(); $base->loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK); unset($b); unset($base); var_dump(is_resource($x)); }
?>
--EXPECT--
bool(true)
bool(false)
