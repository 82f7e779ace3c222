--TEST--
A text in the array of options outlives the conversion of another argument that replaces it
--FILE--
<?php
$path = str_repeat('x', 60);
set_error_handler(function () use (&$path) {
    $path = null;
    $GLOBALS['other'] = str_repeat('y', 60); // where the text was
    return true;
});
try {
    new EventSslContext(EventSslContext::TLS_CLIENT_METHOD + 0.5, [EventSslContext::OPT_LOCAL_CERT => &$path]);
} catch (EventException $exception) {
    echo strtok($exception->getMessage(), ':'), "\n";
}
var_dump($path);
?>
--EXPECT--
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
NULL
