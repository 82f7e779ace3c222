--TEST--
Targets that cannot be listened on
--FILE--
<?php
$base = new EventBase; foreach (['nonsense', '127.0.0.1', '127.0.0.1:http', '127.0.0.1:99999', '', 'unix:/no/such/folder/x'] as $bad) { try { new EventListener($base, function () {}, null, 0, -1, $bad); echo "made\n"; } catch (Exception $x) { echo get_class($x), "\n"; } }
?>
--EXPECT--
Exception
Exception
Exception
Exception
Exception
Exception
