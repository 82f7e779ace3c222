//! `EventHttp`.

use crate::call::{Call, Failure, Value};

/// `__construct(EventBase $base, ?EventSslContext $ctx = null)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::__construct is not there yet".to_owned()))
}

/// `accept(mixed $socket): bool`
pub(crate) fn accept(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::accept is not there yet".to_owned()))
}

/// `bind(string $address, int $port): bool`
pub(crate) fn bind(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::bind is not there yet".to_owned()))
}

/// `setCallback(string $path, callable $cb, mixed $arg = null): bool`
pub(crate) fn set_callback(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setCallback is not there yet".to_owned()))
}

/// `setDefaultCallback(callable $cb, mixed $arg = null): void`
pub(crate) fn set_default_callback(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setDefaultCallback is not there yet".to_owned()))
}

/// `setAllowedMethods(int $methods): void`
pub(crate) fn set_allowed_methods(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setAllowedMethods is not there yet".to_owned()))
}

/// `setMaxBodySize(int $value): void`
pub(crate) fn set_max_body_size(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setMaxBodySize is not there yet".to_owned()))
}

/// `setMaxHeadersSize(int $value): void`
pub(crate) fn set_max_headers_size(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setMaxHeadersSize is not there yet".to_owned()))
}

/// `setTimeout(int $value): void`
pub(crate) fn set_timeout(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::setTimeout is not there yet".to_owned()))
}

/// `addServerAlias(string $alias): bool`
pub(crate) fn add_server_alias(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::addServerAlias is not there yet".to_owned()))
}

/// `removeServerAlias(string $alias): bool`
pub(crate) fn remove_server_alias(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttp::removeServerAlias is not there yet".to_owned()))
}
