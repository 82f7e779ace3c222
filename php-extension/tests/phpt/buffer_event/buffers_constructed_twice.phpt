--TEST--
A buffer event that is constructed again lets go of the buffer objects that it had
--FILE--
<?php
$base = new EventBase;
$bev = new EventBufferEvent($base);
$input = WeakReference::create($bev->input);
$output = WeakReference::create($bev->output);
$bev->__construct($base);
var_dump($bev->input === $bev->input, $bev->input === $input->get(), $input->get());
var_dump($bev->output === $bev->output, $bev->output === $output->get(), $output->get());
?>
--EXPECT--
bool(true)
bool(false)
NULL
bool(true)
bool(false)
NULL
