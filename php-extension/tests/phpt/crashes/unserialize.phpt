--TEST--
What unserialize makes has no native part, and says so
--FILE--
<?php
foreach (['EventBase', 'EventConfig', 'EventHttp', 'EventHttpConnection', 'EventHttpRequest', 'EventDnsBase', 'EventListener', 'EventUtil'] as $class) {
    foreach (['O', 'C'] as $kind) {
        try { var_dump(@unserialize($kind . ':' . strlen($class) . ':"' . $class . '":0:{}')); } catch (EventException $x) { echo $x->getMessage(), "\n"; }
    }
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
EventBase instances cannot be unserialized
bool(false)
EventConfig instances cannot be unserialized
bool(false)
EventHttp instances cannot be unserialized
bool(false)
EventHttpConnection instances cannot be unserialized
bool(false)
EventHttpRequest instances cannot be unserialized
bool(false)
EventDnsBase instances cannot be unserialized
bool(false)
EventListener instances cannot be unserialized
bool(false)
EventUtil instances cannot be unserialized
The object was not constructed: call parent::__construct() first
NULL
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
EventDnsBase instances are not serializable
