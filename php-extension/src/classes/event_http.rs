//! `EventHttp`.

use std::cell::Cell;
use std::time::Duration;

use php_event::{EventBase, EventHttp, EventSslContext, HttpMethods};

use super::event_base::can_run;
use super::event_http_request;
use crate::call::{Call, Failure, Keep, Value};
use crate::host_name;
use crate::object::Object;

/// The slots: the default callable and its data, and those of all paths as lists, in which a path's
/// are found by a number.
const DEFAULT: u32 = 0;
const DEFAULT_DATA: u32 = 1;
const CALLBACKS: u32 = 2;
const DATA: u32 = 3;

/// The most bytes of the head of a request, and of an answer, where PECL has no limit: no real peer
/// sends as many, and an endless head must not fill the memory.
pub(crate) const HEADERS_MAX: usize = 1 << 20;

/// The Rust half of an `EventHttp`.
pub(crate) struct HttpValue {
    http: EventHttp,
    base: EventBase,
    /// How many paths have callables: elements of the lists.
    paths: Cell<usize>,
}

impl Object for HttpValue {
    const SLOTS: u32 = DATA + 1;

    fn is_pending(&self) -> bool {
        can_run(&self.base) && !self.http.bound_addresses().is_empty()
    }
}

/// `__construct(EventBase $base, ?EventSslContext $ctx = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let http = match call.optional_object::<EventSslContext>(1)? {
        Some(context) => EventHttp::with_ssl(&base, &context),
        None => EventHttp::new(&base),
    };
    let http = http.map_err(|error| Failure::EventException(error.reason().into_owned()))?;
    http.set_max_headers_size(Some(HEADERS_MAX))?;
    http.set_max_body_size(None)?;
    call.construct(HttpValue {
        http,
        base,
        paths: Cell::new(0),
    })
}

/// `accept(mixed $socket): bool`
pub(crate) fn accept(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    match call.lent_socket(0).map_err(Failure::Warning)? {
        Some(socket) => call.done(socket.lend_to(true, |socket| this.http.accept(socket))),
        None => Ok(Value::Bool(false)),
    }
}

/// `bind(string $address, int $port): bool`
pub(crate) fn bind(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    let address = call.text(0)?.unwrap_or_default();
    let port = call.port(1, 0).map_err(Failure::Warning)?;
    if !host_name::is_name(address) {
        return call.done(this.http.bind(address, port));
    }
    // As PECL, on the first of the name's addresses.
    let addresses = host_name::look_up(address).map_err(Failure::Warning)?;
    let first = addresses.first().map(ToString::to_string);
    call.done(this.http.bind(&first.unwrap_or_default(), port))
}

/// `setCallback(string $path, callable $cb, mixed $arg = null): bool`
pub(crate) fn set_callback(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    let path = call.text(0)?.unwrap_or_default();
    let (identity, n) = (call.identity(), this.paths.get());
    this.http.set_callback(path, move |request| {
        let request = event_http_request::new_object(request.clone());
        identity.call_item(CALLBACKS, n, [request, Value::Item(DATA, n)]);
    })?;
    for (slot, argument) in [(CALLBACKS, 1), (DATA, 2)] {
        call.answer.keep.push(Keep::Append { slot, argument });
    }
    this.paths.set(n + 1);
    Ok(Value::Bool(true))
}

/// `setDefaultCallback(callable $cb, mixed $arg = null): void`
pub(crate) fn set_default_callback(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    let identity = call.identity();
    this.http.set_default_callback(move |request| {
        let request = event_http_request::new_object(request.clone());
        identity.call(DEFAULT, [request, Value::Slot(DEFAULT_DATA)]);
    })?;
    call.keep(DEFAULT, 0);
    call.keep(DEFAULT_DATA, 1);
    Ok(Value::Void)
}

/// `setAllowedMethods(int $methods): void`
pub(crate) fn set_allowed_methods(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    this.http.set_allowed_methods(methods(call.int(0)))?;
    Ok(Value::Void)
}

/// The methods of a number of `EventHttpRequest::CMD_*` bits.
pub(crate) fn methods(given: Option<i64>) -> HttpMethods {
    let bits = u16::try_from(given.unwrap_or(0) & 0xffff).unwrap_or(0);
    HttpMethods::from_bits_truncate(bits.into())
}

/// A limit: −1 is none.
pub(crate) fn limit(given: Option<i64>) -> Option<usize> {
    given.and_then(|limit| usize::try_from(limit).ok())
}

/// `setMaxBodySize(int $value): void`
pub(crate) fn set_max_body_size(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    this.http.set_max_body_size(limit(call.int(0)))?;
    Ok(Value::Void)
}

/// `setMaxHeadersSize(int $value): void`
pub(crate) fn set_max_headers_size(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    this.http.set_max_headers_size(limit(call.int(0)))?;
    Ok(Value::Void)
}

/// `setTimeout(int $value): void`
pub(crate) fn set_timeout(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    this.http.set_timeout(whole_seconds(call.int(0)))?;
    Ok(Value::Void)
}

/// A time in whole seconds; 0 and less is none.
pub(crate) fn whole_seconds(given: Option<i64>) -> Option<Duration> {
    let seconds = given.and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

/// `addServerAlias(string $alias): bool`
pub(crate) fn add_server_alias(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    call.done(
        this.http
            .add_server_alias(call.text(0)?.unwrap_or_default()),
    )
}

/// `removeServerAlias(string $alias): bool`
pub(crate) fn remove_server_alias(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<HttpValue>()?;
    let was_there = this
        .http
        .remove_server_alias(call.text(0)?.unwrap_or_default())?;
    Ok(Value::Bool(was_there))
}
