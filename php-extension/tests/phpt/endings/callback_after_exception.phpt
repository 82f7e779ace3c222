--TEST--
A callback that was due together with one that threw is called in the next loop
--FILE--
<?php
$base = new EventBase;
$run = function ($read) use ($base) {
    [$near, $far] = EventBufferEvent::createPair($base);
    $near->setCallbacks($read, function () { echo "write\n"; }, null);
    $near->enable(Event::READ);
    $far->enable(Event::READ);
    $far->write('x');
    $near->write('x'); // libevent calls both in one go
    try {
        $base->loop(EventBase::LOOP_NONBLOCK);
    } catch (Exception $e) {
        echo $e->getMessage(), "\n";
        $base->loop(EventBase::LOOP_NONBLOCK);
    }
};
$run(function () { echo "read\n"; });
$run(function () { throw new Exception('thrown'); });
?>
--EXPECTF--
read
write

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
thrown
write
