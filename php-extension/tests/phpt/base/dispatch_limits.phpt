--TEST--
setMaxDispatchInterval has the base look for more urgent events between callbacks
--FILE--
<?php
$limits = ['none' => [0, -1, 0], 'callbacks' => [0, 1, 1], 'interval' => [0.001, -1, 1], 'for less urgent ones' => [0, 1, 3]];
foreach ($limits as $limit => $arguments) {
    $config = new EventConfig;
    $config->setMaxDispatchInterval(...$arguments);
    $base = new EventBase($config);
    $base->priorityInit(3);
    $urgent = Event::timer($base, function () { echo ' urgent'; });
    $urgent->setPriority(0);
    $events = [];
    foreach (['first', 'second'] as $name) {
        $events[] = $event = Event::timer($base, function () use ($name, $urgent) {
            echo " $name";
            if ($name === 'first') {
                $urgent->add(0);
                usleep(20_000); // libevent looks at a clock that may be 10 ms late
            }
        });
        $event->setPriority(2);
        $event->add(0);
    }
    usleep(1_000); // both are due together
    echo "$limit:";
    $base->loop();
    echo "\n";
}
?>
--EXPECT--
none: first second urgent
callbacks: first urgent second
interval: first urgent second
for less urgent ones: first second urgent
