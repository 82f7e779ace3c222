--TEST--
A buffer event whose base was freed can be freed
--FILE--
<?php
$base = new EventBase; $bev = new EventBufferEvent($base, null, EventBufferEvent::OPT_CLOSE_ON_FREE);
$base->free(); $bev->free(); var_dump($bev->fd, $bev->input);
?>
--EXPECT--
NULL
NULL
