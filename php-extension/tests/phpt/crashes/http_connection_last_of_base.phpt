--TEST--
A connection that is the last holder of its base
--FILE--
<?php
function make() { $base = new EventBase; return new EventHttpConnection($base, null, '127.0.0.1', 9); }
$c = make(); var_dump($c->getBase() instanceof EventBase); unset($c); echo "end\n";
?>
--EXPECT--
bool(true)
end
