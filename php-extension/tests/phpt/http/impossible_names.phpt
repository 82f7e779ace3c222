--TEST--
There is no header of a name that none can have
--FILE--
<?php
$request = new EventHttpRequest(function () {});
foreach (['', 'Content-Type:', 'no token', "a\0b", "a\r\nb", "\xff", '/'] as $name) {
    foreach ([EventHttpRequest::INPUT_HEADER, EventHttpRequest::OUTPUT_HEADER] as $side) {
        if ($request->findHeader($name, $side) !== null || $request->removeHeader($name, $side) !== false) {
            echo 'found ', json_encode($name), "\n";
        }
    }
    var_dump(@$request->addHeader($name, 'value', EventHttpRequest::OUTPUT_HEADER));
}
?>
--EXPECT--
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
bool(false)
