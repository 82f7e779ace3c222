--TEST--
Answers, warnings and exceptions do not leak memory
--SKIPIF--
<?php if (getenv('USE_ZEND_ALLOC') === '0') die('skip too slow under Valgrind'); ?>
--FILE--
<?php
require __DIR__ . '/resident.inc';
set_error_handler(fn () => true);
$base = new EventBase;
$buffer = new EventBuffer;
$buffer->add(str_repeat('text ', 20));
[$near, $far] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0);
[$level, $option] = [EventUtil::SOL_SOCKET, EventUtil::SO_LINGER];
$one = '1';
$asked = [
    'texts' => fn () => $buffer->substr(0),
    'lists' => fn () => Event::getSupportedMethods(),
    'arguments by reference' => fn () => $buffer->copyout($copy, 50),
    // The texts are new each time.
    'arrays as arguments' => fn () => EventUtil::setSocketOption(
        $near, $level, $option, ['l_onoff' => "$one$one", 'l_linger' => "$one$one"]
    ),
    'warnings' => fn () => $base->priorityInit(-1),
    'exceptions' => function () {
        try {
            new EventSslContext(1, []);
        } catch (EventException) {
        }
    },
];
foreach ($asked as $what => $ask) {
    for ($n = 0; $n < 50_000; $n++) {
        if ($n === 10_000) {
            $before = resident();
        }
        $ask();
    }
    grown($what, $before);
}
?>
--EXPECT--
texts: flat
lists: flat
arguments by reference: flat
arrays as arguments: flat
warnings: flat
exceptions: flat
