--TEST--
A constructor that is called again makes another event, which calls the new callable
--FILE--
<?php
$base = new EventBase;
$event = new Event($base, -1, Event::TIMEOUT, function () {
    echo "the first\n";
});
$event->add(0);
$event->__construct($base, -1, Event::TIMEOUT, function () {
    echo "the second\n";
});
$event->add(0);
$base->loop();
echo "done\n";
?>
--EXPECT--
the second
done
