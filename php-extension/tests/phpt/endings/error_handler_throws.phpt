--TEST--
An error handler that throws on a warning of the extension
--FILE--
<?php
set_error_handler(function ($n, $m) { throw new ErrorException($m); });
$base = new EventBase;
try { $base->priorityInit(-1); } catch (ErrorException $x) { echo "caught\n"; }
$t = Event::timer($base, 'no_such_function'); $t->add(0);
try { $base->loop(); } catch (ErrorException $x) { echo $x->getMessage(), "\n"; }
var_dump($t->pending);
?>
--EXPECT--
caught
EventBase::loop(): The callback of Event is not callable
bool(false)
