--TEST--
Every method refuses one argument too many, and one too few
--FILE--
<?php
$base = new EventBase;
$f = function () {};
$objects = [
    $base, new EventConfig, Event::timer($base, $f), new EventBuffer, new EventBufferEvent($base),
    new EventListener($base, $f, null, EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0'),
    new EventDnsBase($base, 0), new EventHttp($base), new EventHttpRequest($f),
    new EventHttpConnection($base, null, '127.0.0.1', 80),
    new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []), 'EventUtil',
];
foreach ($objects as $object) {
    $class = new ReflectionClass($object);
    foreach ($class->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
        $counts = [$method->getNumberOfParameters() + 1];
        $needs_less = ['EventBuffer::lock', 'EventBuffer::unlock', 'EventListener::getSocketName'];
        if ($method->getNumberOfRequiredParameters() > 0 && !in_array("$class->name::$method->name", $needs_less)) {
            $counts[] = $method->getNumberOfRequiredParameters() - 1;
        }
        foreach ($counts as $count) {
            $arguments = array_fill(0, $count, null);
            try {
                @$method->invokeArgs( // nothing is passed by reference
                    $method->isStatic() ? null : $object, $arguments
                );
                echo "$class->name::$method->name takes $count\n";
            } catch (ArgumentCountError) {
            } catch (Throwable $e) {
                echo "$class->name::$method->name: ", get_class($e), "\n";
            }
        }
        $methods[] = $method;
    }
}
var_dump(count($methods) > 100);
?>
--EXPECT--
bool(true)
