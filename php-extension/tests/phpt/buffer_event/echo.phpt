--TEST--
An echo server and a client
--FILE--
<?php
$base = new EventBase; $kept = [];
$l = new EventListener($base, function ($l, $fd) use ($base, &$kept) { $kept[] = $b = new EventBufferEvent($base, $fd, EventBufferEvent::OPT_CLOSE_ON_FREE, function ($b) { $b->output->addBuffer($b->input); }, null, function ($b, $what) use (&$kept) { echo "server: $what\n"; $kept = []; }); $b->enable(Event::READ); }, null, EventListener::OPT_REUSEABLE | EventListener::OPT_CLOSE_ON_FREE, -1, '127.0.0.1:0');
$l->getSocketName($host, $port);
$c = new EventBufferEvent($base, null, EventBufferEvent::OPT_CLOSE_ON_FREE, function ($c, $arg) use ($l) { echo $c->read(100), " $arg\n"; $c->free(); $l->disable(); }, function () { echo "written\n"; }, function ($c, $what) { echo "client: $what\n"; }, 'arg');
var_dump($c->getEnabled(), $c->enable(Event::READ), $c->getEnabled(), $c->connect("127.0.0.1:$port"), $c->write('ping')); $base->dispatch(); var_dump($c->fd, $c->input, @$c->write('x'), $c->free());
?>
--EXPECT--
int(4)
bool(true)
int(6)
bool(true)
bool(true)
client: 128
written
ping arg
server: 17
NULL
NULL
bool(false)
NULL
