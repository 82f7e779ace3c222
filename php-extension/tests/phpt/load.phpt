--TEST--
The extension is there under PECL's name and version
--FILE--
<?php
var_dump(extension_loaded('event'), phpversion('event'), EVENT_NS);
?>
--EXPECT--
bool(true)
string(5) "3.1.5"
string(0) ""
