--TEST--
A weak reference to an object that goes is empty when the object's callback goes
--FILE--
<?php
class Looks {
    public $weak, $map;
    function __construct(public string $what) {}
    function __destruct() {
        global $found;
        $key = 'nothing';
        foreach ($this->map as $object => $one) {
            $key = $object;
        }
        $found[] = [$this->weak->get(), $key];
        echo $this->what, ' goes: ', get_debug_type($this->weak->get()), ', ', get_debug_type($key), "\n";
    }
}

/** Makes an object whose callback holds a Looks, and lets go of it. */
function check(string $class, callable $make) {
    $looks = new Looks($class);
    $object = $make(function () use ($looks) {}, $looks);
    $looks->weak = WeakReference::create($object);
    $looks->map = new WeakMap;
    $looks->map[$object] = 1;
}

$base = new EventBase;
check('Event', fn($callback) => Event::timer($base, $callback));
check('EventBufferEvent', fn($callback) => new EventBufferEvent($base, null, 0, $callback));
check('EventListener', fn($callback) =>
    new EventListener($base, $callback, null, EventListener::OPT_CLOSE_ON_FREE, 5, '127.0.0.1:0'));
check('EventHttp', function ($callback) use ($base) {
    $http = new EventHttp($base);
    $http->setDefaultCallback($callback);
    return $http;
});
check('EventHttpRequest', fn($callback) => new EventHttpRequest($callback, null));
check('EventHttpConnection', function ($callback) use ($base) {
    $connection = new EventHttpConnection($base, null, '127.0.0.1', 80);
    $connection->setCloseCallback($callback);
    return $connection;
});
?>
--EXPECT--
Event goes: null, string
EventBufferEvent goes: null, string
EventListener goes: null, string
EventHttp goes: null, string
EventHttpRequest goes: null, string
EventHttpConnection goes: null, string
