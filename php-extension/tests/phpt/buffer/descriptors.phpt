--TEST--
write and readFrom
--FILE--
<?php
[$x, $y] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); stream_set_blocking($x, false); $b = new EventBuffer; var_dump($b->write($x), $b->readFrom($x)); $b->add('hello'); var_dump($b->write($x, 2), $b->length, fread($y, 10)); fwrite($y, 'back'); var_dump($b->readFrom($x, 2), $b->read(10)); fclose($y); var_dump($b->readFrom($x, 10), $b->readFrom($x));
foreach ([-1, null, 'x', fopen('php://memory', 'r')] as $bad) { try { $b->readFrom($bad); } catch (Exception $e) { echo get_class($e), "\n"; } }
?>
--EXPECT--
bool(false)
bool(false)
int(2)
int(3)
string(2) "he"
int(2)
string(5) "lloba"
int(2)
int(0)
Exception
Exception
Exception
Exception
