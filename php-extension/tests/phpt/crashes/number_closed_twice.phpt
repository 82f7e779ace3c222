--TEST--
A number that the program has closed is closed again with its buffer event
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$bev = new EventBufferEvent($base, EventUtil::getSocketFd($near), EventBufferEvent::OPT_CLOSE_ON_FREE);
fclose($near);
$bev->free();
$base->loop(EventBase::LOOP_NONBLOCK);
echo "done\n";
?>
--EXPECT--
done
