--TEST--
EventUtil::createSocket refuses what is no descriptor
--FILE--
<?php
var_dump(@EventUtil::createSocket(-1));
?>
--EXPECT--
bool(false)
