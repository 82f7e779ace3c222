--TEST--
A name of a hosts file resolves without a server
--FILE--
<?php
$file = tempnam(sys_get_temp_dir(), 'hosts'); file_put_contents($file, "127.0.0.1 here.example\n"); $base = new EventBase; $d = new EventDnsBase($base, EventDnsBase::NAMESERVERS_NO_DEFAULT); var_dump($d->loadHosts($file)); unlink($file); $d->addNameserverIp('127.0.0.1:9');
$s = stream_socket_server('tcp://127.0.0.1:0'); $port = (int) substr(strrchr(stream_socket_get_name($s, false), ':'), 1); $c = new EventBufferEvent($base, null, EventBufferEvent::OPT_CLOSE_ON_FREE, null, null, function ($c, $what) use ($base) { var_dump($what); $base->exit(); }); var_dump($c->connectHost($d, 'here.example', $port, EventUtil::AF_INET)); $base->exit(30); $base->loop();
?>
--EXPECT--
bool(true)
bool(true)
int(128)
