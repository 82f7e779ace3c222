//! `EventHttpRequest`.

use crate::call::{Call, Failure, Value};

/// `__construct(callable $callback, mixed $data = null)`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::__construct is not there yet".to_owned()))
}

/// `free(): void`
pub(crate) fn free(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::free is not there yet".to_owned()))
}

/// `getCommand(): int`
pub(crate) fn get_command(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getCommand is not there yet".to_owned()))
}

/// `getHost(): string`
pub(crate) fn get_host(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getHost is not there yet".to_owned()))
}

/// `getUri(): string`
pub(crate) fn get_uri(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getUri is not there yet".to_owned()))
}

/// `getResponseCode(): int`
pub(crate) fn get_response_code(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getResponseCode is not there yet".to_owned()))
}

/// `getInputHeaders(): array`
pub(crate) fn get_input_headers(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getInputHeaders is not there yet".to_owned()))
}

/// `getOutputHeaders(): array`
pub(crate) fn get_output_headers(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getOutputHeaders is not there yet".to_owned()))
}

/// `getInputBuffer(): EventBuffer`
pub(crate) fn get_input_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getInputBuffer is not there yet".to_owned()))
}

/// `getOutputBuffer(): EventBuffer`
pub(crate) fn get_output_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getOutputBuffer is not there yet".to_owned()))
}

/// `getBufferEvent(): ?EventBufferEvent`
pub(crate) fn get_buffer_event(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getBufferEvent is not there yet".to_owned()))
}

/// `getConnection(): ?EventHttpConnection`
pub(crate) fn get_connection(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::getConnection is not there yet".to_owned()))
}

/// `closeConnection(): void`
pub(crate) fn close_connection(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::closeConnection is not there yet".to_owned()))
}

/// `sendError(int $error, ?string $reason = null): void`
pub(crate) fn send_error(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::sendError is not there yet".to_owned()))
}

/// `sendReply(int $code, string $reason, ?EventBuffer $buf = null): void`
pub(crate) fn send_reply(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::sendReply is not there yet".to_owned()))
}

/// `sendReplyChunk(EventBuffer $buf): void`
pub(crate) fn send_reply_chunk(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::sendReplyChunk is not there yet".to_owned()))
}

/// `sendReplyEnd(): void`
pub(crate) fn send_reply_end(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::sendReplyEnd is not there yet".to_owned()))
}

/// `sendReplyStart(int $code, string $reason): void`
pub(crate) fn send_reply_start(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::sendReplyStart is not there yet".to_owned()))
}

/// `cancel(): void`
pub(crate) fn cancel(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::cancel is not there yet".to_owned()))
}

/// `addHeader(string $key, string $value, int $type): bool`
pub(crate) fn add_header(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::addHeader is not there yet".to_owned()))
}

/// `clearHeaders(): void`
pub(crate) fn clear_headers(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::clearHeaders is not there yet".to_owned()))
}

/// `removeHeader(string $key, int $type): bool`
pub(crate) fn remove_header(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::removeHeader is not there yet".to_owned()))
}

/// `findHeader(string $key, int $type): ?string`
pub(crate) fn find_header(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventHttpRequest::findHeader is not there yet".to_owned()))
}
