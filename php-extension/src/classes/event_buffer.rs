//! `EventBuffer`: an own buffer, or a view of one that belongs to a connection.

use php_event::{EolStyle, EventBuffer};

use crate::bridge;
use crate::call::{Call, Descriptor, Failure, Value};
use crate::object::Object;

impl Object for EventBuffer {}

/// `__construct()`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    match EventBuffer::new() {
        Ok(buffer) => call.construct(buffer),
        Err(error) => Err(Failure::EventException(error.reason().into_owned())),
    }
}

/// `freeze(bool $at_front): bool`
pub(crate) fn freeze(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    call.done(buffer.freeze(call.bool(0).unwrap_or(false)))
}

/// `unfreeze(bool $at_front): bool`
pub(crate) fn unfreeze(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    call.done(buffer.unfreeze(call.bool(0).unwrap_or(false)))
}

/// `lock(): void`
///
/// One thread uses a buffer: there is nothing to lock.
pub(crate) fn lock(call: &mut Call) -> Result<Value, Failure> {
    call.this::<EventBuffer>()?.lock();
    Ok(Value::Void)
}

/// `unlock(): void`
pub(crate) fn unlock(call: &mut Call) -> Result<Value, Failure> {
    call.this::<EventBuffer>()?.unlock();
    Ok(Value::Void)
}

/// `enableLocking(): void`
pub(crate) fn enable_locking(call: &mut Call) -> Result<Value, Failure> {
    call.this::<EventBuffer>()?.enable_locking();
    Ok(Value::Void)
}

/// `add(string $data): bool`
pub(crate) fn add(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    Ok(succeeded(buffer.add(call.bytes(0).unwrap_or_default())))
}

/// `prepend(string $data): bool`
pub(crate) fn prepend(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    Ok(succeeded(buffer.prepend(call.bytes(0).unwrap_or_default())))
}

/// `read(int $max_bytes): ?string`
///
/// A negative number is all that there is.
pub(crate) fn read(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let bytes = buffer.read(at_most(call.int(0), buffer.length()));
    Ok(bytes.ok().flatten().map_or(Value::Null, Value::String))
}

/// `addBuffer(EventBuffer $buf): bool`
pub(crate) fn add_buffer(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let source = call.object::<EventBuffer>(0)?;
    Ok(succeeded(buffer.add_buffer(&source)))
}

/// `prependBuffer(EventBuffer $buf): bool`
pub(crate) fn prepend_buffer(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let source = call.object::<EventBuffer>(0)?;
    Ok(succeeded(buffer.prepend_buffer(&source)))
}

/// `appendFrom(EventBuffer $buf, int $len): int`
///
/// −1 when an end is frozen; a negative number moves all.
pub(crate) fn append_from(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let source = call.object::<EventBuffer>(0)?;
    let moved = buffer.append_from(&source, at_most(call.int(1), source.length()));
    Ok(Value::Int(moved.map_or(-1, count)))
}

/// `expand(int $len): bool`
pub(crate) fn expand(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let length = call.int(0).and_then(|length| usize::try_from(length).ok());
    Ok(Value::Bool(
        length.is_some_and(|length| buffer.expand(length).is_ok()),
    ))
}

/// `drain(int $len): bool`
///
/// A negative number drains all.
pub(crate) fn drain(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    Ok(succeeded(
        buffer.drain(at_most(call.int(0), buffer.length())),
    ))
}

/// `copyout(string &$data, int $max_bytes): int`
///
/// −1 when the front is frozen. `$data` is set only if something was copied.
pub(crate) fn copyout(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let mut data = Vec::new();
    let copied = buffer.copyout(&mut data, at_most(call.int(1), buffer.length()));
    if !data.is_empty() {
        call.answer.out.push((0, Value::String(data)));
    }
    Ok(Value::Int(copied.map_or(-1, count)))
}

/// `readLine(int $eol_style): ?string`
pub(crate) fn read_line(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let line = eol_style(call.int(0)).and_then(|style| buffer.read_line(style).ok().flatten());
    Ok(line.map_or(Value::Null, Value::String))
}

/// `search(string $what, int $start = -1, int $end = -1): int|false`
pub(crate) fn search(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let what = call.bytes(0).unwrap_or_default();
    let start = start(call, 1, buffer);
    let end = call.int(2).and_then(|end| usize::try_from(end).ok());
    Ok(found(buffer.search(what, start, end)?))
}

/// `searchEol(int $start = -1, int $eol_style = EOL_ANY): int|false`
pub(crate) fn search_eol(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let start = start(call, 0, buffer);
    match eol_style(Some(call.int(1).unwrap_or(0))) {
        Some(style) => Ok(found(buffer.search_eol(start, style)?)),
        None => Ok(Value::Bool(false)),
    }
}

/// `pullup(int $size): ?string`
///
/// The whole content, of which the first `$size` bytes are one piece then.
pub(crate) fn pullup(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let size = call.int(0).and_then(|size| usize::try_from(size).ok());
    match buffer.pullup(size)? {
        Some(_) => Ok(Value::String(buffer.substr(0, None)?)),
        None => Ok(Value::Null),
    }
}

/// `write(mixed $fd, int $howmuch = -1): int|false`
pub(crate) fn write(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let most = call.int(1).and_then(|most| usize::try_from(most).ok());
    if buffer.length() == 0 || most == Some(0) {
        return Ok(Value::Bool(false));
    }
    let written = with_descriptor(call, |fd| bridge::lend(fd, |fd| buffer.write(fd, most)));
    Ok(transferred(written))
}

/// `readFrom(mixed $fd, int $howmuch = -1): int|false`
///
/// At most 4096 bytes a call, as libevent reads.
pub(crate) fn read_from(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let most = call.int(1).and_then(|most| usize::try_from(most).ok());
    let read = with_descriptor(call, |fd| bridge::lend(fd, |fd| buffer.read_from(fd, most)));
    Ok(transferred(read))
}

/// `substr(int $start, int $length = -1): string|false`
pub(crate) fn substr(call: &mut Call) -> Result<Value, Failure> {
    let buffer = call.this::<EventBuffer>()?;
    let Some(start) = call.int(0).and_then(|start| usize::try_from(start).ok()) else {
        return Ok(Value::Bool(false));
    };
    let length = call.int(1).and_then(|length| usize::try_from(length).ok());
    Ok(Value::String(buffer.substr(start, length)?))
}

/// The property `contiguous_space`.
pub(crate) fn contiguous_space_property(call: &Call) -> Value {
    let buffer = call.this_if_constructed::<EventBuffer>();
    buffer.map_or(Value::Null, |buffer| {
        Value::Int(count(buffer.contiguous_space()))
    })
}

/// PECL says nothing of a frozen end: false alone.
fn succeeded(result: php_event::Result<()>) -> Value {
    Value::Bool(result.is_ok())
}

/// A count from PHP, of which a negative one is all.
fn at_most(number: Option<i64>, all: usize) -> usize {
    usize::try_from(number.unwrap_or(0)).unwrap_or(all)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Where a search begins: a negative number is the front. Past the end PECL warns, and searches
/// from the front.
fn start(call: &mut Call, n: usize, buffer: &EventBuffer) -> usize {
    let start = usize::try_from(call.int(n).unwrap_or(0)).unwrap_or(0);
    if start > buffer.length() {
        call.answer.warning = Some(format!(
            "Invalid start position {start}: the buffer is shorter"
        ));
        return 0;
    }
    start
}

fn found(at: Option<usize>) -> Value {
    at.map_or(Value::Bool(false), |at| Value::Int(count(at)))
}

pub(crate) fn eol_style(number: Option<i64>) -> Option<EolStyle> {
    let styles = [
        EventBuffer::EOL_ANY,
        EventBuffer::EOL_CRLF,
        EventBuffer::EOL_CRLF_STRICT,
        EventBuffer::EOL_LF,
        EventBuffer::EOL_NUL,
    ];
    styles
        .into_iter()
        .find(|style| Some(*style as i64) == number)
}

/// Runs `work` on the number of the first argument; none for a dead socket.
fn with_descriptor<T>(call: &Call, work: impl FnOnce(i32) -> T) -> Option<T> {
    call.descriptor(0).and_then(Descriptor::number).map(work)
}

fn transferred(result: Option<php_event::Result<usize>>) -> Value {
    match result {
        Some(Ok(bytes)) => Value::Int(count(bytes)),
        _ => Value::Bool(false),
    }
}
