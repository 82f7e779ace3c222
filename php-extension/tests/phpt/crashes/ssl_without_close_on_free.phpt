--TEST--
TLS objects without OPT_CLOSE_ON_FREE go with their buffer events
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/../memory/resident.inc';
$base = new EventBase;
$context = new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, []);
for ($n = 0; $n < 3000; $n++) {
    if ($n === 1000) {
        $before = resident();
    }
    [$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
    $bev = EventBufferEvent::sslSocket($base, $near, $context, EventBufferEvent::SSL_CONNECTING);
    $bev->free();
    $base->loop(EventBase::LOOP_NONBLOCK);
}
grown('TLS objects', $before); // PECL loses 9 KB each
?>
--EXPECT--
TLS objects: flat
