--TEST--
Required features choose the method, and NO_CACHE_TIME has the time asked for each time
--FILE--
<?php
$config = new EventConfig;
$config->requireFeatures(EventConfig::FEATURE_FDS);
$base = new EventBase($config);
var_dump($base->getMethod() !== 'epoll', ($base->getFeatures() & EventConfig::FEATURE_FDS) !== 0);

foreach ([0, EventBase::NO_CACHE_TIME] as $flags) {
    $config = new EventConfig;
    $config->setFlags($flags);
    $base = new EventBase($config);
    $timer = Event::timer($base, function () use ($base) {
        $before = $base->getTimeOfDayCached();
        usleep(2_000);
        var_dump($base->getTimeOfDayCached() > $before);
    });
    $timer->add(0);
    $base->loop();
}
?>
--EXPECT--
bool(true)
bool(true)
bool(false)
bool(true)
