--TEST--
Search domains and dots decide which name is asked for first
--FILE--
<?php
$server = stream_socket_server('udp://127.0.0.1:0', flags: STREAM_SERVER_BIND);
$base = new EventBase;
$asked = new Event($base, $server, Event::READ | Event::PERSIST, function ($server) use ($base) {
    $rest = substr(stream_socket_recvfrom($server, 512), 12);
    for ($labels = []; $length = ord($rest[0]); $rest = substr($rest, $length + 1)) {
        $labels[] = substr($rest, 1, $length);
    }
    echo strtolower(implode('.', $labels)), "\n";
    $base->stop();
});
$asked->add();
$ask = function (string $name, ?string $domain, ?int $dots) use ($base, $server) {
    $dns = new EventDnsBase($base, false);
    $dns->addNameserverIp(stream_socket_get_name($server, false));
    if ($domain !== null) {
        $dns->addSearch('other.test');
        $dns->clearSearch();
        $dns->addSearch($domain);
    }
    if ($dots !== null) {
        $dns->setSearchNdots($dots);
    }
    $bev = new EventBufferEvent($base);
    $bev->connectHost($dns, $name, 80, EventUtil::AF_INET);
    $base->exit(30);
    $base->loop();
};
$ask('one', null, null);
$ask('one', 'domain.test', null);
$ask('one.two', 'domain.test', 1);
$ask('one.two', 'domain.test', 2);

/** How many servers there are, if any are listed. */
$count = function (int|bool $initialize) use ($base) {
    try {
        return (new EventDnsBase($base, $initialize))->countNameservers();
    } catch (EventException) {
        return 'no server is listed';
    }
};
var_dump($count(false), $count(0), $count(true) === $count(EventDnsBase::INITIALIZE_NAMESERVERS), $count(true) !== 0);
?>
--EXPECT--
one
one.domain.test
one.two
one.two.domain.test
int(0)
int(0)
bool(true)
bool(true)
