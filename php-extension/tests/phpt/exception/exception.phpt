--TEST--
EventException is thrown, can be extended, and has errorInfo
--FILE--
<?php
class Mine extends EventException
{
}
try {
    new EventBase(new EventConfig);
    $config = new EventConfig;
    foreach (Event::getSupportedMethods() as $method) {
        $config->avoidMethod($method);
    }
    new EventBase($config);
} catch (EventException $e) {
    var_dump($e instanceof RuntimeException, $e->errorInfo, $e->getMessage() !== '');
}
try {
    throw new Mine('text', 3);
} catch (EventException $e) {
    var_dump(get_class($e), $e->getMessage(), $e->getCode());
}
?>
--EXPECT--
bool(true)
NULL
bool(true)
string(4) "Mine"
string(4) "text"
int(3)
