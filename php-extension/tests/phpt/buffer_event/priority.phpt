--TEST--
priority and allow_ssl_dirty_shutdown
--FILE--
<?php
$base = new EventBase; $base->priorityInit(4); $b = new EventBufferEvent($base); $b->priority = 2; var_dump($b->priority, $b->setPriority(1), $b->setPriority(9), $b->allow_ssl_dirty_shutdown, $b->sslError(), $b->sslGetProtocol(), $b->getDnsErrorString()); try { $b->fd = 1; } catch (Error $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
NULL
bool(true)
bool(false)
bool(true)
bool(false)
bool(false)
string(0) ""
Cannot write property EventBufferEvent::$fd
