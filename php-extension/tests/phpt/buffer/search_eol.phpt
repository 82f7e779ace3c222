--TEST--
searchEol begins where it is told to
--FILE--
<?php
$buffer = new EventBuffer;
$buffer->add("a\nb\nc");
foreach ([-1, 0, 1, 2, 3, 4] as $start) {
    echo json_encode($buffer->searchEol($start, EventBuffer::EOL_LF)), ' ';
}
?>
--EXPECT--
1 1 1 3 3 false
