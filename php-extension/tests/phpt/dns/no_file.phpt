--TEST--
parseResolvConf without the file
--FILE--
<?php
$dns = new EventDnsBase(new EventBase, 0);
var_dump($dns->parseResolvConf(EventDnsBase::OPTIONS_ALL, '/no/such/file'));
?>
--EXPECTF--

Warning: EventDnsBase::parseResolvConf(): Failed to open file /no/such/file in %s on line %d
bool(false)
