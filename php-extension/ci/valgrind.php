<?php
// Runs .phpt files, each in a forked child of this process: valgrind.php SCRATCH FILE…
//
// Under Valgrind the start of PHP takes most of the time of a short script. Here PHP starts once,
// and each script still has a request and an end of its own. SCRATCH gets what they print, and has
// Valgrind's reports, one file for each process: valgrind.PID.

/** The sections of a .phpt file. */
function sections(string $file): array
{
    $parts = preg_split('/^--([A-Z_]+)--\R/m', file_get_contents($file), -1, PREG_SPLIT_DELIM_CAPTURE);
    $sections = [];
    for ($n = 1; $n < count($parts); $n += 2) {
        $sections[$parts[$n]] = $parts[$n + 1];
    }
    return $sections;
}

/** What the script was to print, as a regular expression. */
function expected(array $sections): string
{
    if (isset($sections['EXPECTREGEX'])) {
        return trim($sections['EXPECTREGEX']);
    }
    $text = preg_quote(comparable($sections['EXPECTF'] ?? $sections['EXPECT']), '~');
    $letters = ['%s' => '[^\r\n]+', '%S' => '[^\r\n]*', '%A' => '.*', '%d' => '\d+'];
    return isset($sections['EXPECTF']) ? strtr($text, $letters) : $text;
}

/** Without what differs here: this file's frame, and the numbers behind it, of resources, objects. */
function comparable(string $text): string
{
    $text = preg_replace('~^#\d+ ' . preg_quote(__FILE__, '~') . '.*\R~m', '', $text);
    $text = preg_replace('~^#\d+ (?=\{main\})~m', '#', $text);
    $text = preg_replace('~^(object\(\w+\))#(\d+|%d)~m', '$1', $text);
    return trim(str_replace("\r\n", "\n", preg_replace('~Resource id #\d+~', 'Resource id', $text)));
}

/** Why a run is no success; null when it is one. */
function fault(string $expected, string $printed, int $status, string $report): ?string
{
    return match (true) {
        is_file($report) && filesize($report) > 0 => file_get_contents($report),
        pcntl_wifsignaled($status) => 'ended by signal ' . pcntl_wtermsig($status) . "\n$printed",
        !preg_match("~^$expected$~s", comparable($printed)) => "printed:\n$printed",
        default => null,
    };
}

/** Runs a script in a child, which returns true; the parent gets what it printed and its status. */
function forked(string $output): true|array
{
    $child = pcntl_fork();
    if ($child === 0) {
        pcntl_alarm(120);
        // What PHP prints goes to descriptor 1, and a new file gets the lowest free number.
        fclose(STDOUT);
        $GLOBALS['_stdout'] = fopen($output, 'w');
        return true;
    }
    pcntl_waitpid($child, $status);
    return [$child, file_get_contents($output), $status];
}

/** Does what most scripts do, so that the children have it in Valgrind's cache of code. */
function warm_up(): void
{
    $base = new EventBase;
    [$near, $far] = EventBufferEvent::createPair($base);
    $near->setCallbacks(fn ($bev) => $bev->input->readLine(EventBuffer::EOL_LF), null, null);
    $near->enable(Event::READ);
    $far->write("line\n");
    $http = new EventHttp($base);
    for ($port = 20000 + getmypid() % 20000; !@$http->bind('127.0.0.1', $port); $port++);
    $http->setDefaultCallback(fn ($request) => $request->sendReply(200, 'OK'));
    $client = stream_socket_client("tcp://127.0.0.1:$port");
    fwrite($client, "GET / HTTP/1.0\r\n\r\n");
    $event = new Event($base, $client, Event::READ, function ($client) use ($base) {
        fread($client, 1000);
        $base->exit();
    });
    $event->add(30);
    $timer = Event::timer($base, function () { throw new Exception; });
    $timer->add(0);
    try {
        @$base->loop();
    } catch (Exception) {
        $base->loop();
    }
    (new ReflectionMethod('Event', 'add'))->getParameters();
}

warm_up();
gc_collect_cycles();
[$_scratch, $_files] = [$argv[1], array_slice($argv, 2)];
$_failed = [];
foreach ($_files as $_file) {
    $_sections = sections($_file);
    $_output = "$_file.out";
    $_script = dirname($_file) . '/' . basename($_file, '.phpt');
    $_title = trim($_sections['TEST']) . " [$_file]";
    if (isset($_sections['SKIPIF'])) {
        file_put_contents("$_script.skip.php", $_sections['SKIPIF']);
        $_result = forked($_output);
        if ($_result === true) {
            $_script = "$_script.skip.php";
            break;
        }
        if (str_starts_with(ltrim($_result[1]), 'skip')) {
            echo "SKIP $_title: ", substr(trim($_result[1]), 5), "\n";
            continue;
        }
    }
    file_put_contents("$_script.php", $_sections['FILE']);
    $_result = forked($_output);
    if ($_result === true) {
        $_script = "$_script.php";
        break;
    }
    [$_child, $_printed, $_status] = $_result;
    $_fault = fault(expected($_sections), $_printed, $_status, "$_scratch/valgrind.$_child");
    if ($_fault !== null) {
        echo "FAIL $_title\n$_fault\n";
        $_failed[] = $_file;
    }
}
if (!isset($_result) || $_result !== true) {
    echo count($_files), ' files, ', count($_failed), " failed\n";
    exit($_failed ? 1 : 0);
}
// In the child. The script must see no variable of this file.
chdir(dirname($_script));
$argv = [$_script];
$argc = 1;
unset($_scratch, $_files, $_failed, $_file, $_sections, $_output, $_title, $_result, $_child, $_printed, $_status, $_fault);
include $_script;
