--TEST--
The memory limit in the callback of a descriptor ends the loop at once, and the script
--SKIPIF--
<?php
if (getenv('USE_ZEND_ALLOC') === '0') die('skip PHP leaves memory to its allocator after a fatal error');
if (PHP_VERSION_ID < 80200) die('skip PHP 8.1 runs no shutdown functions after this error');
?>
--FILE--
<?php
// By a bailout; or as `exit` does, where PHP puts that off until no C code runs, as Debian's does.
$begun = microtime(true);
register_shutdown_function(function () use ($begun) { echo microtime(true) - $begun < 20 ? "shutdown\n" : "too late\n"; });
$base = new EventBase;
$f = function () { echo "called\n"; ini_set("memory_limit", "4M"); str_repeat("x", 100000000); };
[$a, $b] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); fwrite($b, "x"); $e = new Event($base, $a, Event::READ, $f); $e->add();
$late = Event::timer($base, function () { echo "late\n"; }); $late->add(30);
$base->loop();
echo "not reached\n";
?>
--EXPECTF--
called

Fatal error: Allowed memory size of 4194304 bytes exhausted%S (tried to allocate %d bytes) in %s on line %d
shutdown
