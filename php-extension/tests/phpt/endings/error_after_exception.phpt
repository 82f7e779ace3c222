--TEST--
An exception in a forked child's callback comes out of the loop alone, without what the loop has to say
--EXTENSIONS--
pcntl
--FILE--
<?php
$base = new EventBase;
$timer = Event::timer($base, function () {
    $pid = pcntl_fork();
    if ($pid === 0) {
        throw new Exception('thrown in the child');
    }
    pcntl_waitpid($pid, $status);
    var_dump(pcntl_wexitstatus($status));
});
$timer->add(0);
try {
    $base->loop();
} catch (Exception $e) {
    echo $e->getMessage(), "\n";
    $base->reInit(); // so that the child can free it
}
?>
--EXPECTF--

Warning: EventBase::loop(): Breaking the loop due to exception Exception in %s on line %d
thrown in the child
int(0)
