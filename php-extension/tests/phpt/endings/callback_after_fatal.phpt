--TEST--
A callback that was due together with one that ended the script is not called
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error'); ?>
--FILE--
<?php
register_shutdown_function(function () { echo "shutdown\n"; });
$base = new EventBase;
[$near, $far] = EventBufferEvent::createPair($base);
$near->setCallbacks(function () { trigger_error('stop', E_USER_ERROR); }, function () { echo "write\n"; }, null);
$near->enable(Event::READ);
$far->enable(Event::READ);
$far->write('x');
$near->write('x'); // libevent calls both in one go
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
%AFatal error: stop in %s on line %d
shutdown
