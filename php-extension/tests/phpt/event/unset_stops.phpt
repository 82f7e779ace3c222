--TEST--
An event without a variable does not fire
--FILE--
<?php
$base = new EventBase; $e = Event::timer($base, function () { echo "never\n"; }); $e->add(0); unset($e); $base->loop(); echo "end\n";
?>
--EXPECT--
end
