--TEST--
A pending event with itself as data fires, also after json_encode
--FILE--
<?php
$base = new EventBase;
function later($base)
{
    $event = Event::timer($base, function () { echo "fired\n"; });
    $event->add(0.01);
    json_encode($event);
    $event->data = $event;
}
later($base);
gc_collect_cycles();
$base->loop();
gc_collect_cycles();
?>
--EXPECT--
fired
