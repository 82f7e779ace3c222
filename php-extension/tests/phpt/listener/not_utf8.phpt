--TEST--
A path of a listener that is not UTF-8 is refused, not changed
--FILE--
<?php
try {
    new EventListener(new EventBase, 'strlen', null, EventListener::OPT_CLOSE_ON_FREE, -1, "unix:/tmp/caf\xE9.sock");
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
}
?>
--EXPECT--
The address is not valid UTF-8
