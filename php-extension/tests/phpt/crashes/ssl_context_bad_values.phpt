--TEST--
A TLS context with values of the wrong kind is refused
--FILE--
<?php
foreach ([[EventSslContext::OPT_LOCAL_CERT => 5], [EventSslContext::OPT_LOCAL_CERT => []], [EventSslContext::OPT_VERIFY_DEPTH => 'x'], [99 => 1]] as $options) {
    try { new EventSslContext(EventSslContext::TLS_CLIENT_METHOD, $options); echo "made\n"; } catch (EventException $x) { echo "refused\n"; }
}
try { new EventSslContext(1, []); } catch (EventException $x) { echo "refused\n"; }
?>
--EXPECT--
refused
refused
refused
refused
refused
