--TEST--
The getters of a request that was not made yet answer
--FILE--
<?php
$r = new EventHttpRequest(function () {});
var_dump($r->getHost(), $r->getUri(), $r->getCommand(), $r->getResponseCode(), $r->getInputHeaders(), $r->getConnection(), $r->getBufferEvent());
?>
--EXPECT--
string(0) ""
string(0) ""
int(0)
int(0)
array(0) {
}
NULL
NULL
