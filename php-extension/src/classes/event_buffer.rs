//! `EventBuffer`.

use crate::call::{Call, Failure, Value};

/// `__construct()`
pub(crate) fn construct(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::__construct is not there yet".to_owned()))
}

/// `freeze(bool $at_front): bool`
pub(crate) fn freeze(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::freeze is not there yet".to_owned()))
}

/// `unfreeze(bool $at_front): bool`
pub(crate) fn unfreeze(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::unfreeze is not there yet".to_owned()))
}

/// `lock(bool $at_front): void`
pub(crate) fn lock(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::lock is not there yet".to_owned()))
}

/// `unlock(bool $at_front): void`
pub(crate) fn unlock(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::unlock is not there yet".to_owned()))
}

/// `enableLocking(): void`
pub(crate) fn enable_locking(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::enableLocking is not there yet".to_owned()))
}

/// `add(string $data): bool`
pub(crate) fn add(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::add is not there yet".to_owned()))
}

/// `read(int $max_bytes): string`
pub(crate) fn read(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::read is not there yet".to_owned()))
}

/// `addBuffer(EventBuffer $buf): bool`
pub(crate) fn add_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::addBuffer is not there yet".to_owned()))
}

/// `appendFrom(EventBuffer $buf, int $len): int`
pub(crate) fn append_from(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::appendFrom is not there yet".to_owned()))
}

/// `expand(int $len): bool`
pub(crate) fn expand(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::expand is not there yet".to_owned()))
}

/// `prepend(string $data): bool`
pub(crate) fn prepend(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::prepend is not there yet".to_owned()))
}

/// `prependBuffer(EventBuffer $buf): bool`
pub(crate) fn prepend_buffer(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::prependBuffer is not there yet".to_owned()))
}

/// `drain(int $len): bool`
pub(crate) fn drain(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::drain is not there yet".to_owned()))
}

/// `copyout(string &$data, int $max_bytes): int`
pub(crate) fn copyout(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::copyout is not there yet".to_owned()))
}

/// `readLine(int $eol_style): ?string`
pub(crate) fn read_line(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::readLine is not there yet".to_owned()))
}

/// `search(string $what, int $start = -1, int $end = -1): int|false`
pub(crate) fn search(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::search is not there yet".to_owned()))
}

/// `searchEol(int $start = -1, int $eol_style = 0): int|false`
pub(crate) fn search_eol(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::searchEol is not there yet".to_owned()))
}

/// `pullup(int $size): ?string`
pub(crate) fn pullup(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::pullup is not there yet".to_owned()))
}

/// `write(mixed $fd, int $howmuch = -1): int|false`
pub(crate) fn write(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::write is not there yet".to_owned()))
}

/// `readFrom(mixed $fd, int $howmuch = -1): int|false`
pub(crate) fn read_from(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::readFrom is not there yet".to_owned()))
}

/// `substr(int $start, int $length = -1): string|false`
pub(crate) fn substr(_call: &mut Call) -> Result<Value, Failure> {
    Err(Failure::Error("EventBuffer::substr is not there yet".to_owned()))
}
