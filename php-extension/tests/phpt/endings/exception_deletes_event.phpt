--TEST--
A persistent event whose callback throws is deleted
--FILE--
<?php
$base = new EventBase;
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
$event = new Event($base, $a, Event::WRITE | Event::PERSIST, function () { throw new Exception('thrown'); });
$event->add();
for ($n = 0; $n < 2; $n++) {
    try {
        var_dump(@$base->loop());
    } catch (Exception $e) {
        echo $e->getMessage(), "\n";
    }
}
var_dump($event->pending);
?>
--EXPECT--
thrown
bool(true)
bool(false)
