--TEST--
readLine in each style
--FILE--
<?php
$text = "a\nb\r\nc\n\rd\r\n\r\ne\rf\0g";
foreach ([EventBuffer::EOL_ANY, EventBuffer::EOL_CRLF, EventBuffer::EOL_CRLF_STRICT, EventBuffer::EOL_LF, EventBuffer::EOL_NUL, 99] as $style) { $b = new EventBuffer; $b->add($text); $lines = []; while (($l = $b->readLine($style)) !== null) $lines[] = $l; echo $style, ' ', json_encode($lines), ' ', json_encode($b->read(100)), "\n"; }
?>
--EXPECT--
0 ["a","b","c","d","e"] "f\u0000g"
1 ["a","b","c","\rd",""] "e\rf\u0000g"
2 ["a\nb","c\n\rd",""] "e\rf\u0000g"
3 ["a","b\r","c","\rd\r","\r"] "e\rf\u0000g"
4 ["a\nb\r\nc\n\rd\r\n\r\ne\rf"] "g"
99 [] "a\nb\r\nc\n\rd\r\n\r\ne\rf\u0000g"
