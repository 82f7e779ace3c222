--TEST--
Initialization flags and name servers
--FILE--
<?php
$base = new EventBase; foreach ([0, false, EventDnsBase::NAMESERVERS_NO_DEFAULT] as $f) { $d = new EventDnsBase($base, $f); var_dump($d->countNameservers()); }
var_dump($d->addNameserverIp('127.0.0.1:5353'), @$d->addNameserverIp('nonsense'), @$d->setOption('timeout', '1'), @$d->setOption('timeout', 'abc'), @$d->loadHosts('/no/such/file'), $d->countNameservers()); $d->addSearch('example.com'); $d->setSearchNdots(2); $d->clearSearch();
try { new EventDnsBase($base, 1 << 40); } catch (EventException $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
int(0)
int(0)
int(0)
bool(true)
bool(false)
bool(true)
bool(false)
bool(false)
int(1)
Invalid initialization flags 1099511627776: give EventDnsBase::* constants
