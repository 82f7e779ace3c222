<?php
// The client of tutorial.sh: tutorial.php PROGRAM, a number. Prints all that it read, as JSON.
function client()
{
    for ($n = 0; $n < 500; $n++) {
        if ($socket = @stream_socket_client('tcp://127.0.0.1:9999')) {
            stream_set_blocking($socket, false);
            usleep(20_000); // the server accepts it before the next one
            return $socket;
        }
        usleep(10_000);
    }
    exit(1);
}

/** What each client gets until all have been silent for a while. */
function heard(array $clients): array
{
    $heard = array_fill_keys(array_keys($clients), '');
    do {
        $ready = $clients;
        $none = null;
        $found = stream_select($ready, $none, $none, 0, 300_000);
        foreach ($ready as $n => $socket) {
            $heard[$n] .= $bytes = (string) fread($socket, 1 << 20);
            if ($bytes === '') {
                $heard[$n] .= '(end)';
                unset($clients[$n]);
            }
        }
    } while ($found && $clients);
    return $heard;
}

function told(array $clients, int $which, string $text): void
{
    fwrite($clients[$which], $text);
    echo json_encode(heard($clients), JSON_PRETTY_PRINT), "\n";
}

$clients = [client()];
if ($argv[1] === '1') {
    told($clients, 0, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    for ($n = 1; $n < 20; $n++) {
        $clients[] = client();
    }
    foreach ([0, 5, 19, 5] as $n) {
        told($clients, $n, "GET /$n HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    told($clients, 3, str_repeat('x', 100_000)); // more than one read takes
    told($clients, 3, 'again');
} else {
    $clients[] = client();
    $clients[] = client();
    told($clients, 0, 'hello');
    told($clients, 2, str_repeat('long ', 10_000));
    told($clients, 1, 'hey');
    told($clients, 0, 'hello again');
}
