--TEST--
What unserialize makes has no native part, and says so
--FILE--
<?php
foreach (['EventBase', 'EventConfig', 'EventHttp', 'EventHttpConnection', 'EventHttpRequest', 'EventDnsBase', 'EventListener'] as $class) {
    try { var_dump(@unserialize('O:' . strlen($class) . ':"' . $class . '":0:{}')); } catch (Throwable $x) { echo get_class($x), "\n"; }
}
$b = unserialize('O:11:"EventBuffer":0:{}'); try { $b->add('x'); } catch (Error $x) { echo $x->getMessage(), "\n"; }
$e = unserialize('O:5:"Event":0:{}'); var_dump($e->pending); try { $e->add(1); } catch (Error $x) { echo $x->getMessage(), "\n"; }
foreach (['EventSslContext' => 'setMinProtoVersion', 'EventBufferEvent' => 'enable'] as $class => $method) {
    $o = unserialize('O:' . strlen($class) . ':"' . $class . '":0:{}'); try { $o->$method(1); } catch (Error $x) { echo $x->getMessage(), "\n"; }
}
$base = new EventBase; try { serialize(new EventDnsBase($base, 0)); } catch (EventException $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
The object was not constructed: call parent::__construct() first
NULL
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
EventDnsBase instances are not serializable
