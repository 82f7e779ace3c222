//! `EventListener`.

use crate::call::{Call, Failure, Value};

/// `__construct(EventBase $base, callable $cb, mixed $data, int $flags, int $backlog, mixed $target)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::__construct is not there yet".to_owned()))
}

/// `free(): void`
pub(crate) fn free(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::free is not there yet".to_owned()))
}

/// `enable(): bool`
pub(crate) fn enable(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::enable is not there yet".to_owned()))
}

/// `disable(): bool`
pub(crate) fn disable(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::disable is not there yet".to_owned()))
}

/// `setCallback(callable $cb, mixed $arg = null): void`
pub(crate) fn set_callback(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::setCallback is not there yet".to_owned()))
}

/// `setErrorCallback(callable $cb): void`
pub(crate) fn set_error_callback(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::setErrorCallback is not there yet".to_owned()))
}

/// `getBase(): EventBase`
pub(crate) fn get_base(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::getBase is not there yet".to_owned()))
}

/// `getSocketName(mixed &$address, mixed &$port): bool`
pub(crate) fn get_socket_name(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventListener::getSocketName is not there yet".to_owned()))
}
