<?php
// The client of workerman.sh: workerman.php HTTP-MASTER UDP-MASTER, the processes' numbers.
const HTTP = 'tcp://127.0.0.1:8080';
const UDP = 'udp://127.0.0.1:8083';

function check(string $what, bool $holds): void
{
    if (!$holds) {
        fwrite(STDERR, "wrong: $what\n");
        exit(1);
    }
    global $checks;
    $checks++;
}

/** Sends a request over a connection of its own; the head and the body of the answer. */
function ask(string $method, string $path, string $body = '', array $headers = []): array
{
    $socket = stream_socket_client(HTTP, timeout: 5);
    stream_set_timeout($socket, 5);
    $headers[] = 'Content-Length: ' . strlen($body);
    $headers[] = 'Connection: close';
    fwrite($socket, "$method $path HTTP/1.1\r\nHost: a\r\n" . implode("\r\n", $headers) . "\r\n\r\n$body");
    return explode("\r\n\r\n", stream_get_contents($socket), 2) + ['', ''];
}

function work(): void
{
    check('/', ask('GET', '/')[1] === 'Hello Chance');
    $query = ['foo' => 'bar', 'key' => ['hello', 'chance']];
    check('/get', json_decode(ask('GET', '/get?' . http_build_query($query))[1], true) === $query);
    $json = ['Content-Type: application/json'];
    check('/post', json_decode(ask('POST', '/post', '{"foo":"bar"}', $json)[1], true) === ['foo' => 'bar']);
    check('/header', ask('POST', '/header', '', ['foo: bar'])[1] === 'bar');
    preg_match('/^Set-Cookie: ([^;]*)/mi', ask('GET', '/setSession')[0], $cookie);
    check('a session', ask('GET', '/session', '', ["Cookie: $cookie[1]"])[1] === 'bar');
    check('its end', ask('GET', '/session', '', ["Cookie: $cookie[1]"])[1] === '');
    check('/sse, by a timer', substr_count(ask('GET', '/sse')[1], 'data: hello') === 5);
    check('404', str_contains(ask('GET', '/none')[0], ' 404 '));
    $file = str_repeat('z', 300_000);
    $body = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.txt\"\r\n\r\n$file\r\n--B--\r\n";
    $form = ['Content-Type: multipart/form-data; boundary=B'];
    check('/file', json_decode(ask('POST', '/file', $body, $form)[1], true)['size'] === 300_000);
    $kept = stream_socket_client(HTTP, timeout: 5);
    for ($n = 0; $n < 100; $n++) {
        fwrite($kept, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        check('keep-alive', str_ends_with(fread($kept, 8192), 'Hello Chance'));
    }
    $udp = stream_socket_client(UDP);
    stream_set_timeout($udp, 5);
    for ($n = 0; $n < 100; $n++) {
        fwrite($udp, "xiami$n");
        check('UDP', fread($udp, 100) === "received: xiami$n");
    }
}

/** The processes that a master has, as Linux tells. */
function workers(int $master): array
{
    $all = trim((string) @file_get_contents("/proc/$master/task/$master/children"));
    return $all === '' ? [] : explode(' ', $all);
}

/** Waits for what a function says; 10 seconds at most. */
function wait(string $for, callable $holds): void
{
    for ($n = 0; $n < 1000 && !$holds(); $n++) {
        usleep(10_000);
    }
    check($for, $holds());
}

[, $http, $udp] = array_map('intval', $argv);
wait('the HTTP stub listens', fn () => (bool) @stream_socket_client(HTTP));
wait('the UDP stub has a worker', fn () => workers($udp) !== []);
usleep(200_000); // its worker binds
work();
foreach ([$http, $udp] as $master) {
    $before = workers($master);
    posix_kill($master, 10); // SIGUSR1: reload
    wait('a new worker', fn () => count(workers($master)) === count($before)
        && !array_intersect(workers($master), $before));
}
usleep(200_000);
work();
echo "$checks checks hold, before and after a reload\n";
