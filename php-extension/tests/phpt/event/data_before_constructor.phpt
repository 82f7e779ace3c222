--TEST--
A constructor without data sets it to null
--FILE--
<?php
$base = new EventBase;
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
foreach ([[$near, Event::READ], [null, Event::TIMEOUT]] as [$source, $what]) {
    $event = unserialize('O:5:"Event":1:{s:4:"data";s:6:"before";}');
    var_dump($event->data);
    $event->__construct($base, $source, $what, function () {});
    var_dump($event->data);
}
?>
--EXPECT--
string(6) "before"
NULL
string(6) "before"
NULL
