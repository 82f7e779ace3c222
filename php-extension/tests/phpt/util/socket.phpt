--TEST--
EventUtil
--FILE--
<?php
$s = stream_socket_server('tcp://127.0.0.1:0'); var_dump(EventUtil::getSocketName($s, $a, $p), $a, $p > 0, EventUtil::getSocketFd($s) > 2, EventUtil::getSocketFd(5), EventUtil::setSocketOption($s, EventUtil::SOL_SOCKET, EventUtil::SO_KEEPALIVE, 1), EventUtil::setSocketOption($s, EventUtil::SOL_SOCKET, EventUtil::SO_RCVTIMEO, ['sec' => 1, 'usec' => 5]), @EventUtil::setSocketOption($s, EventUtil::SOL_SOCKET, EventUtil::SO_LINGER, []), EventUtil::sslRandPoll(), is_int(EventUtil::getLastSocketErrno()), is_string(EventUtil::getLastSocketError()));
try { new EventUtil; } catch (Error $x) { echo $x->getMessage(), "\n"; } try { EventUtil::getSocketFd('x'); } catch (Exception $x) { echo get_class($x), "\n"; }
?>
--EXPECT--
bool(true)
string(9) "127.0.0.1"
bool(true)
bool(true)
int(5)
bool(true)
bool(true)
bool(false)
bool(true)
bool(true)
bool(true)
Call to private EventUtil::__construct() from global scope
Exception
