--TEST--
EventConfig chooses the method
--FILE--
<?php
$c = new EventConfig; var_dump($c->avoidMethod('epoll'), $c->requireFeatures(EventConfig::FEATURE_FDS), $c->setFlags(EventBase::NO_CACHE_TIME)); $c->setMaxDispatchInterval(0.1, 5, 1);
$b = new EventBase($c); echo $b->getMethod(), "\n";
foreach (Event::getSupportedMethods() as $m) $c->avoidMethod($m);
try { new EventBase($c); } catch (EventException $x) { echo "no method\n"; }
?>
--EXPECT--
bool(true)
bool(true)
bool(true)
poll
no method
