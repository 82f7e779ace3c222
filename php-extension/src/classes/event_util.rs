//! `EventUtil`.

use crate::call::{Call, Failure, Value};

/// `__construct()`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::__construct is not there yet".to_owned()))
}

/// `static getLastSocketErrno(?Socket $socket = null): int|false`
pub(crate) fn get_last_socket_errno(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::getLastSocketErrno is not there yet".to_owned()))
}

/// `static getLastSocketError(mixed $socket = null): string|false`
pub(crate) fn get_last_socket_error(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::getLastSocketError is not there yet".to_owned()))
}

/// `static sslRandPoll(): bool`
pub(crate) fn ssl_rand_poll(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::sslRandPoll is not there yet".to_owned()))
}

/// `static getSocketName(mixed $socket, mixed &$address, mixed &$port = null): bool`
pub(crate) fn get_socket_name(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::getSocketName is not there yet".to_owned()))
}

/// `static getSocketFd(mixed $socket): int`
pub(crate) fn get_socket_fd(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::getSocketFd is not there yet".to_owned()))
}

/// `static setSocketOption(mixed $socket, int $level, int $optname, mixed $optval): bool`
pub(crate) fn set_socket_option(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::setSocketOption is not there yet".to_owned()))
}

/// `static createSocket(int $fd): Socket|false`
pub(crate) fn create_socket(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventUtil::createSocket is not there yet".to_owned()))
}
