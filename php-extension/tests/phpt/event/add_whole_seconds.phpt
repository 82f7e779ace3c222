--TEST--
Event::add takes whole and fractional seconds alike: -1 is for ever, less is now, and no time is too long
--FILE--
<?php
$base = new EventBase;
$fired = [];
$timer = Event::timer($base, function ($name) use (&$fired) { $fired[] = $name; }, 'timer');
foreach ([-1, -1.0, -2, -2.0, 0, 0.0, PHP_INT_MIN, PHP_INT_MAX, 1e300, INF, NAN] as $seconds) {
    $timer->add($seconds);
    $pending = $timer->pending;
    $base->loop(EventBase::LOOP_NONBLOCK);
    echo json_encode([is_finite($seconds) ? $seconds : "$seconds", $pending, count($fired), $timer->pending]), "\n";
    $timer->del();
}
?>
--EXPECT--
[-1,false,0,false]
[-1,false,0,false]
[-2,true,1,false]
[-2,true,2,false]
[0,true,3,false]
[0,true,4,false]
[-9223372036854775808,true,5,false]
[9223372036854775807,true,5,true]
[1.0e+300,true,5,true]
["INF",true,5,true]
["NAN",true,6,false]
