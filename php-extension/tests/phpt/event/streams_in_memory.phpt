--TEST--
Streams in memory have no descriptor
--FILE--
<?php
$base = new EventBase;
foreach (['php://memory', 'php://temp', 'data:,text'] as $url) {
    $stream = fopen($url, 'r');
    foreach ([
        fn () => new Event($base, $stream, Event::READ, fn () => null),
        fn () => new EventBufferEvent($base, $stream),
        fn () => (new EventBuffer)->readFrom($stream, 10),
    ] as $use) {
        try {
            $use();
            echo "$url is taken\n";
        } catch (Exception $exception) {
            echo get_class($exception), ': ', $exception->getMessage(), "\n";
        }
    }
}
?>
--EXPECT--
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
Exception: the stream is in memory, and has no descriptor
