--TEST--
search and searchEol
--FILE--
<?php
$b = new EventBuffer; $b->add('one two one'); var_dump($b->search('one'), $b->search('one', 1), $b->search('two', 0, 6), $b->search('two', 0, 7), $b->search('x'), @$b->search('one', 100), $b->search(''));
$b->add("\r\n"); var_dump($b->searchEol(), $b->searchEol(0, EventBuffer::EOL_CRLF_STRICT), $b->searchEol(0, 99));
?>
--EXPECT--
int(0)
int(8)
bool(false)
int(4)
bool(false)
int(0)
int(0)
int(11)
int(11)
bool(false)
