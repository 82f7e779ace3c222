//! `EventHttpRequest`, of a server and of a client.

use std::borrow::Cow;
use std::rc::Rc;

use php_event::{Error, EventBase, EventBuffer, EventHttpRequest, HeaderSide};

use super::{event_buffer_event, event_http_connection};
use crate::call::{Call, Failure, Key, Value};
use crate::kept::{Count, Keeper, Kept};
use crate::object::{Held, Object};

/// The slots of a client's request.
const CALLBACK: u32 = 1;
const DATA: u32 = 2;

/// The Rust half of an `EventHttpRequest`.
pub(crate) struct RequestValue {
    pub(crate) request: EventHttpRequest,
    pub(crate) in_flight: Rc<MaybeInFlight>,
}

/// A request that a connection has.
pub(crate) struct InFlight {
    /// Its PHP object, and the base whose loop completes it.
    pub(crate) count: Count,
    pub(crate) request: EventHttpRequest,
}

impl Keeper for InFlight {
    fn base(&self) -> &EventBase {
        &self.count.base
    }
}

/// None before a connection has the request, and after it has completed.
pub(crate) type MaybeInFlight = Kept<InFlight>;

impl Object for RequestValue {
    const SLOTS: u32 = DATA + 1;

    fn is_pending(&self) -> bool {
        self.in_flight.borrow().is_some()
    }
}

/// A new object for a server's request.
pub(crate) fn new_object(request: EventHttpRequest) -> Value {
    let in_flight = Rc::default();
    Value::New(Held::new(RequestValue { request, in_flight }))
}

/// `__construct(callable $callback, mixed $data = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let in_flight = Rc::<MaybeInFlight>::default();
    let (identity, completed) = (call.new_identity(), Rc::clone(&in_flight));
    let request = EventHttpRequest::new(move |answer| {
        let _completed = completed.take(); // until the callback has returned
        let request = match answer {
            Some(_) => Value::This,
            None => Value::Null,
        };
        identity.call(CALLBACK, [request, Value::Slot(DATA)]);
    });
    let request = request.map_err(|error| Failure::EventException(error.reason().into_owned()))?;
    call.keep(CALLBACK, 0);
    call.keep(DATA, 1);
    call.construct(RequestValue { request, in_flight })
}

/// `free(): void`
///
/// PECL needs it to avoid a leak. Here it does nothing: the object frees what it has.
pub(crate) fn free(_call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Void)
}

/// `getCommand(): int`
pub(crate) fn get_command(call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Int(i64::from(this(call)?.get_command()?.bits())))
}

/// `getHost(): string`
pub(crate) fn get_host(call: &mut Call) -> Result<Value, Failure> {
    Ok(text(this(call)?.get_host()?))
}

/// `getUri(): string`
pub(crate) fn get_uri(call: &mut Call) -> Result<Value, Failure> {
    Ok(text(this(call)?.get_uri()?))
}

/// PECL ends the process where there is none of these.
fn text(text: Option<String>) -> Value {
    Value::text(text.unwrap_or_default())
}

/// `getResponseCode(): int`
pub(crate) fn get_response_code(call: &mut Call) -> Result<Value, Failure> {
    Ok(Value::Int(this(call)?.get_response_code()?.into()))
}

/// `getInputHeaders(): array`
pub(crate) fn get_input_headers(call: &mut Call) -> Result<Value, Failure> {
    Ok(headers(this(call)?.header_bytes(HeaderSide::Input)?))
}

/// `getOutputHeaders(): array`
pub(crate) fn get_output_headers(call: &mut Call) -> Result<Value, Failure> {
    Ok(headers(this(call)?.header_bytes(HeaderSide::Output)?))
}

fn headers(headers: Vec<(String, Vec<u8>)>) -> Value {
    let entries = headers
        .into_iter()
        .map(|(name, value)| (Key::String(name.into_bytes()), Value::String(value)));
    Value::Array(entries.collect())
}

/// `getInputBuffer(): EventBuffer`
pub(crate) fn get_input_buffer(call: &mut Call) -> Result<Value, Failure> {
    Ok(event_buffer_event::view(this(call)?.get_input_buffer()))
}

/// `getOutputBuffer(): EventBuffer`
pub(crate) fn get_output_buffer(call: &mut Call) -> Result<Value, Failure> {
    Ok(event_buffer_event::view(this(call)?.get_output_buffer()))
}

/// `getBufferEvent(): ?EventBufferEvent`
pub(crate) fn get_buffer_event(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?.get_buffer_event();
    Ok(bev.map_or(Value::Null, event_buffer_event::new_view))
}

/// `getConnection(): ?EventHttpConnection`
pub(crate) fn get_connection(call: &mut Call) -> Result<Value, Failure> {
    let connection = this(call)?.get_connection();
    Ok(connection.map_or(Value::Null, event_http_connection::new_object))
}

/// `closeConnection(): void`
pub(crate) fn close_connection(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.close_connection()?;
    Ok(Value::Void)
}

/// `sendError(int $error, ?string $reason = null): void`
pub(crate) fn send_error(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    request.send_error(code(call)?, call.text(1)?)?;
    Ok(Value::Void)
}

/// `sendReply(int $code, string $reason, ?EventBuffer $buf = null): void`
pub(crate) fn send_reply(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    let reason = call.text(1)?.unwrap_or_default();
    let body = call.optional_object::<EventBuffer>(2)?;
    request.send_reply(code(call)?, reason, body.as_ref())?;
    Ok(Value::Void)
}

/// `sendReplyStart(int $code, string $reason): void`
pub(crate) fn send_reply_start(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    request.send_reply_start(code(call)?, call.text(1)?.unwrap_or_default())?;
    Ok(Value::Void)
}

/// The status of a reply, which the library checks.
fn code(call: &Call) -> Result<u16, Failure> {
    let number = call.int(0).unwrap_or(0);
    u16::try_from(number).map_err(|_| Failure::Warning(format!("Invalid status {number}")))
}

/// `sendReplyChunk(EventBuffer $buf): void`
pub(crate) fn send_reply_chunk(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    let buffer = call.object::<EventBuffer>(0)?;
    request.send_reply_chunk(&buffer)?;
    Ok(Value::Void)
}

/// `sendReplyEnd(): void`
pub(crate) fn send_reply_end(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.send_reply_end()?;
    Ok(Value::Void)
}

/// `cancel(): void`
pub(crate) fn cancel(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<RequestValue>()?;
    this.request.cancel()?;
    drop(this.in_flight.take());
    Ok(Value::Void)
}

/// `addHeader(string $key, string $value, int $type): bool`
pub(crate) fn add_header(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    let name = call.text(0)?.unwrap_or_default();
    let value = call.bytes(1).unwrap_or_default();
    call.done(request.add_header(name, value, side(call.int(2))))
}

/// `clearHeaders(): void`
pub(crate) fn clear_headers(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.clear_headers()?;
    Ok(Value::Void)
}

/// `removeHeader(string $key, int $type): bool`
pub(crate) fn remove_header(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    let removed = request.remove_header(&name(call), side(call.int(1)));
    Ok(Value::Bool(or_none(removed)?))
}

/// `findHeader(string $key, int $type): ?string`
pub(crate) fn find_header(call: &mut Call) -> Result<Value, Failure> {
    let request = this(call)?;
    if !(0..=3).contains(&call.int(1).unwrap_or(-1)) {
        return Err(Failure::Warning(
            "Invalid type: give INPUT_HEADER or OUTPUT_HEADER".to_owned(),
        ));
    }
    let found = or_none(request.find_header_bytes(&name(call), side(call.int(1))))?;
    Ok(found.map_or(Value::Null, Value::String))
}

/// The name of a header that is looked for.
fn name<'a>(call: &Call<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(call.bytes(0).unwrap_or_default())
}

/// There is no header of a name that none can have, of which PECL does not warn.
fn or_none<T: Default>(looked_for: php_event::Result<T>) -> Result<T, Failure> {
    match looked_for {
        Err(Error::Argument { .. }) => Ok(T::default()),
        found => Ok(found?),
    }
}

/// 2 is output, all else input.
fn side(given: Option<i64>) -> HeaderSide {
    match given {
        Some(2) => HeaderSide::Output,
        _ => HeaderSide::Input,
    }
}

fn this(call: &Call) -> Result<EventHttpRequest, Failure> {
    let this: &RequestValue = call.this()?;
    Ok(this.request.clone())
}
