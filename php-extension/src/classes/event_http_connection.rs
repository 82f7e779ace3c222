//! `EventHttpConnection`.

use crate::call::{Call, Failure, Value};

/// `__construct(EventBase $base, ?EventDnsBase $dns_base, string $address, int $port, ?EventSslContext $ctx = null)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::__construct is not there yet".to_owned()))
}

/// `getBase(): EventBase|false`
pub(crate) fn get_base(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::getBase is not there yet".to_owned()))
}

/// `getPeer(mixed &$address, mixed &$port): void`
pub(crate) fn get_peer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::getPeer is not there yet".to_owned()))
}

/// `setLocalAddress(string $address): void`
pub(crate) fn set_local_address(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setLocalAddress is not there yet".to_owned()))
}

/// `setLocalPort(int $port): void`
pub(crate) fn set_local_port(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setLocalPort is not there yet".to_owned()))
}

/// `setTimeout(int $timeout): void`
pub(crate) fn set_timeout(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setTimeout is not there yet".to_owned()))
}

/// `setMaxHeadersSize(int $max_size): void`
pub(crate) fn set_max_headers_size(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setMaxHeadersSize is not there yet".to_owned()))
}

/// `setMaxBodySize(int $max_size): void`
pub(crate) fn set_max_body_size(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setMaxBodySize is not there yet".to_owned()))
}

/// `setRetries(int $retries): void`
pub(crate) fn set_retries(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setRetries is not there yet".to_owned()))
}

/// `makeRequest(EventHttpRequest $req, int $type, string $uri): ?bool`
pub(crate) fn make_request(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::makeRequest is not there yet".to_owned()))
}

/// `setCloseCallback(callable $callback, mixed $data = null): void`
pub(crate) fn set_close_callback(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpConnection::setCloseCallback is not there yet".to_owned()))
}
