--TEST--
An exception in the accept callback closes the connection and disables the listener
--FILE--
<?php
$base = new EventBase; $l = new EventListener($base, function () { throw new Exception('no'); }, null, EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0'); $l->getSocketName($a, $p); $c = stream_socket_client("tcp://127.0.0.1:$p");
try { @$base->loop(); } catch (Exception $x) { echo $x->getMessage(), "\n"; } stream_set_timeout($c, 2); var_dump(fread($c, 1), feof($c)); var_dump($base->loop());
?>
--EXPECT--
no
string(0) ""
bool(true)
bool(true)
