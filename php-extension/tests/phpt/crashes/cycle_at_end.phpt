--TEST--
Objects in cycles at the end of the script
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves a cycle at the end to its allocator'); ?>
--FILE--
<?php
$base = new EventBase;
$bev = new EventBufferEvent($base, null, 0, function () use (&$bev, $base) {}); $bev->setCallbacks(fn () => $bev, null, null, $bev);
$e = Event::timer($base, function () use (&$e, $base) {}); $e->data = $e; $e->add(10);
echo "end\n";
?>
--EXPECT--
end
