--TEST--
A subclass whose constructor does not call its parent's
--FILE--
<?php
class Mine extends EventBuffer { function __construct() {} }
$m = new Mine;
var_dump($m->length);
foreach (['add' => ['x'], 'read' => [1], 'drain' => [1], 'expand' => [1], 'pullup' => [1], 'readLine' => [0], 'search' => ['x'], 'freeze' => [true]] as $method => $arguments) {
    try { $m->$method(...$arguments); } catch (Error $x) { echo $x->getMessage(), "\n"; }
}
$b = new EventBuffer; try { $b->addBuffer($m); } catch (Error $x) { echo $x->getMessage(), "\n"; }
?>
--EXPECT--
NULL
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
The object was not constructed: call parent::__construct() first
