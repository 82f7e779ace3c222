--TEST--
Where callbacks throw at random, each exception comes out, and no bytes, end or answer is lost
--FILE--
<?php
$thrown = 0;
/** Throws in a third of the calls. */
function may_throw(string $where): void {
    if (mt_rand(0, 2) === 0) {
        $GLOBALS['thrown']++;
        throw new Exception($where);
    }
}

/** What is sent, what has come, and which ends were told, by the number of a connection. */
$sent = $came = $ended = [];
$kept = [];

/** A pair of buffer events, of which one sends all its bytes and goes, and the other one reads them. */
function transfer(EventBufferEvent $from, EventBufferEvent $to, string $text): void {
    global $sent, $came, $ended, $kept;
    $id = count($sent);
    [$sent[$id], $came[$id], $ended[$id]] = [$text, '', 0];
    $from->setCallbacks(null, function ($from) use ($id) {
        if ($from->output->length === 0) {
            $from->free();
        }
        may_throw('sent');
    }, fn () => may_throw('an event of the sender'));
    $to->setCallbacks(function ($to) use ($id) {
        while (($bytes = $to->read(1000)) !== null) {
            $GLOBALS['came'][$id] .= $bytes;
        }
        may_throw('read');
    }, fn () => may_throw('write'), function ($to, $events) use ($id) {
        $is_end = $events & (EventBufferEvent::EOF | EventBufferEvent::ERROR);
        if ($is_end && $events & EventBufferEvent::READING) {
            $GLOBALS['ended'][$id]++;
        }
        may_throw('an event');
    });
    $from->write($text);
    $from->enable(Event::READ);
    $to->enable(Event::READ);
    array_push($kept, $from, $to);
}

function is_done(): bool {
    global $sent, $came, $ended, $asked, $answered;
    return $sent === $came && !in_array(0, $ended) && $asked === $answered;
}

$contexts = null;
if (extension_loaded('openssl')) {
    $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    openssl_x509_export(openssl_csr_sign(openssl_csr_new(['commonName' => 'localhost'], $key), null, $key, 1), $certificate);
    openssl_pkey_export($key, $private);
    $file = tempnam(sys_get_temp_dir(), 'pem');
    file_put_contents($file, $certificate . $private);
    $contexts = [
        new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []),
        new EventSslContext(EventSslContext::TLS_SERVER_METHOD, [EventSslContext::OPT_LOCAL_CERT => $file]),
    ];
    unlink($file);
}
$sockets = function () {
    $pair = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    foreach ($pair as $socket) {
        stream_set_blocking($socket, false);
    }
    return $pair;
};
$base = new EventBase;
$close = EventBufferEvent::OPT_CLOSE_ON_FREE;
$states = [EventBufferEvent::SSL_CONNECTING, EventBufferEvent::SSL_ACCEPTING];
$kinds = [
    fn ($n, $socket) => new EventBufferEvent($base, $socket, $close),
    fn ($n, $socket) => new EventBufferEvent($base, $socket, $close | EventBufferEvent::OPT_DEFER_CALLBACKS),
];
if ($contexts) {
    $kinds[] = fn ($n, $socket) => EventBufferEvent::sslSocket($base, $socket, $contexts[$n], $states[$n], $close);
    $kinds[] = fn ($n, $socket) => EventBufferEvent::createSslFilter(
        new EventBufferEvent($base, $socket, $close), $contexts[$n], $states[$n], $close);
}

$asked = $answered = 0;
$http = new EventHttp($base);
for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
$http->setDefaultCallback(function ($request) use ($base) {
    if (mt_rand(0, 1)) {
        $request->addHeader('Connection', 'close', EventHttpRequest::OUTPUT_HEADER);
    }
    $timer = Event::timer($base, function () use ($request) {
        $body = new EventBuffer;
        $body->add($request->getUri());
        $request->sendReply(200, 'OK', $body);
        may_throw('the reply');
    });
    $timer->add(0.001);
    $GLOBALS['kept'][] = $timer;
    may_throw('the request');
});

$caught = 0;
for ($seed = 1; $seed <= 10; $seed++) {
    mt_srand($seed);
    foreach ($kinds as $kind) {
        transfer(...array_map($kind, [0, 1], $sockets()), ...[str_repeat(chr(64 + $seed), mt_rand(1, 30000))]);
    }
    for ($n = 0; $n < 3; $n++) {
        $connection = new EventHttpConnection($base, null, '127.0.0.1', $port);
        $connection->setCloseCallback(fn () => may_throw('a close'));
        foreach (['/first', '/second'] as $path) {
            $asked++;
            $request = new EventHttpRequest(function ($request) use ($path, &$answered) {
                $answered += $request?->getInputBuffer()->read(100) === $path ? 1 : 0;
                may_throw('the answer');
            });
            $connection->makeRequest($request, EventHttpRequest::CMD_GET, $path);
        }
        $kept[] = $connection;
    }
    for ($until = microtime(true) + 20; !is_done() && microtime(true) < $until;) {
        $base->exit(0.02);
        try {
            @$base->loop(mt_rand(0, 2) ? 0 : EventBase::LOOP_ONCE);
        } catch (Exception) {
            $caught++;
        }
    }
    if (!is_done()) {
        die("seed $seed: " . json_encode([array_map('strlen', $sent), array_map('strlen', $came), $ended, $asked, $answered]));
    }
    $kept = [];
}
var_dump(max($ended), $thrown > 100, $caught === $thrown);
?>
--EXPECT--
int(1)
bool(true)
bool(true)
