--TEST--
The methods of this libevent
--FILE--
<?php
var_dump(in_array('epoll', Event::getSupportedMethods()), array_is_list(Event::getSupportedMethods()));
?>
--EXPECT--
bool(true)
bool(true)
