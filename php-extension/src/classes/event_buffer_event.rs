//! `EventBufferEvent`.

use crate::call::{Call, Failure, Value};

/// `__construct(EventBase $base, mixed $socket = null, int $options = 0, ?callable $readcb = null, ?callable $writecb = null, ?callable $eventcb = null, mixed $arg = null)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::__construct is not there yet".to_owned()))
}

/// `free(): void`
pub(crate) fn free(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::free is not there yet".to_owned()))
}

/// `close(): void`
pub(crate) fn close(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::close is not there yet".to_owned()))
}

/// `connect(string $addr): bool`
pub(crate) fn connect(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::connect is not there yet".to_owned()))
}

/// `connectHost(?EventDnsBase $dns_base, string $hostname, int $port, int $family = 0): bool`
pub(crate) fn connect_host(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::connectHost is not there yet".to_owned()))
}

/// `getDnsErrorString(): string`
pub(crate) fn get_dns_error_string(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::getDnsErrorString is not there yet".to_owned()))
}

/// `setCallbacks(?callable $readcb, ?callable $writecb, ?callable $eventcb, mixed $arg = null): void`
pub(crate) fn set_callbacks(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::setCallbacks is not there yet".to_owned()))
}

/// `enable(int $events): bool`
pub(crate) fn enable(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::enable is not there yet".to_owned()))
}

/// `disable(int $events): bool`
pub(crate) fn disable(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::disable is not there yet".to_owned()))
}

/// `getEnabled(): int`
pub(crate) fn get_enabled(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::getEnabled is not there yet".to_owned()))
}

/// `getInput(): EventBuffer`
pub(crate) fn get_input(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::getInput is not there yet".to_owned()))
}

/// `getOutput(): EventBuffer`
pub(crate) fn get_output(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::getOutput is not there yet".to_owned()))
}

/// `setWatermark(int $events, int $lowmark, int $highmark): void`
pub(crate) fn set_watermark(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::setWatermark is not there yet".to_owned()))
}

/// `write(string $data): bool`
pub(crate) fn write(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::write is not there yet".to_owned()))
}

/// `writeBuffer(EventBuffer $buf): bool`
pub(crate) fn write_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::writeBuffer is not there yet".to_owned()))
}

/// `read(int $size): ?string`
pub(crate) fn read(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::read is not there yet".to_owned()))
}

/// `readBuffer(EventBuffer $buf): bool`
pub(crate) fn read_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::readBuffer is not there yet".to_owned()))
}

/// `static createPair(EventBase $base, int $options = 0): array|false`
pub(crate) fn create_pair(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::createPair is not there yet".to_owned()))
}

/// `setPriority(int $priority): bool`
pub(crate) fn set_priority(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::setPriority is not there yet".to_owned()))
}

/// `setTimeouts(float $timeout_read, float $timeout_write): bool`
pub(crate) fn set_timeouts(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::setTimeouts is not there yet".to_owned()))
}

/// `static createSslFilter(EventBufferEvent $unnderlying, EventSslContext $ctx, int $state, int $options = 0): EventBufferEvent`
pub(crate) fn create_ssl_filter(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::createSslFilter is not there yet".to_owned()))
}

/// `static sslSocket(EventBase $base, mixed $socket, EventSslContext $ctx, int $state, int $options = 0): EventBufferEvent`
pub(crate) fn ssl_socket(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslSocket is not there yet".to_owned()))
}

/// `sslError(): string`
pub(crate) fn ssl_error(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslError is not there yet".to_owned()))
}

/// `sslRenegotiate(): void`
pub(crate) fn ssl_renegotiate(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslRenegotiate is not there yet".to_owned()))
}

/// `sslGetCipherInfo(): string`
pub(crate) fn ssl_get_cipher_info(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslGetCipherInfo is not there yet".to_owned()))
}

/// `sslGetCipherName(): string`
pub(crate) fn ssl_get_cipher_name(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslGetCipherName is not there yet".to_owned()))
}

/// `sslGetCipherVersion(): string`
pub(crate) fn ssl_get_cipher_version(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslGetCipherVersion is not there yet".to_owned()))
}

/// `sslGetProtocol(): string`
pub(crate) fn ssl_get_protocol(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBufferEvent::sslGetProtocol is not there yet".to_owned()))
}
