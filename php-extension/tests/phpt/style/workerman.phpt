--TEST--
A server in Workerman's style: a master, forked workers with bases of their own, a reload
--EXTENSIONS--
pcntl
posix
--FILE--
<?php
$server = stream_socket_server('tcp://127.0.0.1:0');
$address = stream_socket_get_name($server, false);

function worker($server): void
{
    $base = new EventBase;
    $connections = [];
    $accept = new Event($base, $server, Event::READ | Event::PERSIST, function ($server) use ($base, &$connections) {
        if (!$client = @stream_socket_accept($server, 0)) {
            return;
        }
        stream_set_blocking($client, false);
        $event = new Event($base, $client, Event::READ | Event::PERSIST, function ($client) use (&$connections) {
            $bytes = fread($client, 65535);
            if ($bytes === '' || $bytes === false) {
                unset($connections[(int) $client]);
                return;
            }
            fwrite($client, getmypid() . ' ' . $bytes);
        });
        $event->add();
        $connections[(int) $client] = [$client, $event];
    });
    $accept->add();
    $stop = Event::signal($base, SIGUSR1, function () use ($base) { $base->stop(); });
    $stop->addSignal();
    $base->loop();
    exit(0);
}

function start($server): int
{
    $pid = pcntl_fork();
    if ($pid === 0) {
        worker($server);
    }
    return $pid;
}

function ask(string $address): int
{
    $client = stream_socket_client("tcp://$address");
    stream_set_timeout($client, 5);
    fwrite($client, 'hello');
    [$pid, $word] = explode(' ', fread($client, 100));
    var_dump($word);
    return (int) $pid;
}

$first = start($server);
var_dump(ask($address) === $first);
posix_kill($first, SIGUSR1); // reload
pcntl_waitpid($first, $status);
var_dump(pcntl_wexitstatus($status));
$second = start($server);
var_dump(ask($address) === $second, $first !== $second);
posix_kill($second, SIGUSR1);
pcntl_waitpid($second, $status);
var_dump(pcntl_wexitstatus($status));
?>
--EXPECT--
string(5) "hello"
bool(true)
int(0)
string(5) "hello"
bool(true)
bool(true)
int(0)
