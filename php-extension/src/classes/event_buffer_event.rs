//! `EventBufferEvent`.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::{Rc, Weak};

use php_event::{
    AddressFamily, BufferEventFlags, BufferEventOptions, Callbacks, EventBase, EventBuffer,
    EventBufferEvent, EventDnsBase, EventFlags, EventSslContext, SslState,
};

use super::event_base::can_run;
use super::event_util::integer;
use crate::bridge::LentSocket;
use crate::call::{Argument, Call, Failure, Keep, Key, Part, Value, seconds};
use crate::host_name;
use crate::object::{Held, Identity, Object};

/// The slots: the callables and their argument, and the objects that the properties `input` and
/// `output` give.
const READ: u32 = 0;
const WRITE: u32 = 1;
const EVENT: u32 = 2;
const ARGUMENT: u32 = 3;
const INPUT: u32 = 4;
const OUTPUT: u32 = 5;

/// The Rust half of an `EventBufferEvent`.
pub(crate) struct BufferEventValue {
    pub(crate) bev: EventBufferEvent,
    /// Whether it is that of a server's request.
    is_view: bool,
    has_input: Cell<bool>,
    has_output: Cell<bool>,
    /// What is under it, if it is a filter.
    under: Option<EventBufferEvent>,
    /// The descriptor that it, or what is under it, was given, if any.
    socket: Weak<LentSocket>,
}

impl BufferEventValue {
    fn new(bev: EventBufferEvent, socket: Weak<LentSocket>) -> Self {
        Self {
            bev,
            under: None,
            socket,
            is_view: false,
            has_input: Cell::new(false),
            has_output: Cell::new(false),
        }
    }
}

impl Drop for BufferEventValue {
    /// Buffers of it that PHP still has do not keep it, under PECL neither.
    fn drop(&mut self) {
        if !self.is_view {
            self.bev.free_with_filter();
        }
    }
}

impl Object for BufferEventValue {
    const SLOTS: u32 = OUTPUT + 1;

    fn is_pending(&self) -> bool {
        self.bev.is_pending() && can_run(&self.bev.base())
    }
}

/// `__construct(EventBase $base, mixed $socket = null, int $options = 0, ?callable $readcb = null,
/// ?callable $writecb = null, ?callable $eventcb = null, mixed $arg = null)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let options = options(call.int(2));
    let close = options.contains(BufferEventOptions::CLOSE_ON_FREE);
    let mut lent = Weak::new();
    let bev = match call.lent_socket(1).map_err(Failure::Warning)? {
        Some(socket) => socket.lend_to(close, |socket| {
            lent = Rc::downgrade(&socket);
            EventBufferEvent::new(&base, socket, options)
        }),
        None => EventBufferEvent::unconnected(&base, options),
    };
    let bev = bev.map_err(|error| Failure::EventException(error.reason().into_owned()))?;
    bev.set_callbacks(callbacks(call, 3, &call.new_identity()))?;
    keep_callbacks(call, 3);
    call.construct(BufferEventValue::new(bev, lent))
}

/// The options that mean something here: locks do not.
fn options(given: Option<i64>) -> BufferEventOptions {
    let bits = i32::try_from(given.unwrap_or(0) & 0xff).unwrap_or(0);
    BufferEventOptions::from_bits_truncate(bits) & !BufferEventOptions::THREADSAFE
}

/// The library's callbacks for those of three arguments that are not null.
fn callbacks(call: &Call, first: usize, identity: &Identity) -> Callbacks {
    let mut callbacks = Callbacks::new();
    if !call.argument(first).is_null() {
        let identity = identity.clone();
        callbacks = callbacks.on_read(move |_bev| data(&identity, READ));
    }
    if !call.argument(first + 1).is_null() {
        let identity = identity.clone();
        callbacks = callbacks.on_write(move |_bev| data(&identity, WRITE));
    }
    if !call.argument(first + 2).is_null() {
        let identity = identity.clone();
        callbacks = callbacks.on_event(move |_bev, events| happened(&identity, events));
    }
    callbacks
}

fn data(identity: &Identity, slot: u32) {
    identity.call_with_parts(slot, [Part::This, Part::Slot(ARGUMENT)]);
}

fn happened(identity: &Identity, events: BufferEventFlags) {
    let events = Part::Int(events.bits().into());
    let arguments = [Part::This, events, Part::Slot(ARGUMENT)];
    identity.call_with_parts(EVENT, arguments);
}

/// Puts the callables and their argument where the collector sees them. Without an argument the
/// former one stays.
fn keep_callbacks(call: &mut Call, first: u32) {
    for (slot, argument) in [(READ, first), (WRITE, first + 1), (EVENT, first + 2)] {
        if call.argument(argument as usize).is_null() {
            call.answer.keep.push(Keep::Clear { slot });
        } else {
            call.keep(slot, argument);
        }
    }
    if !call.argument(first as usize + 3).is_null() {
        call.keep(ARGUMENT, first + 3);
    }
}

/// `free(): void`
pub(crate) fn free(call: &mut Call) -> Result<Value, Failure> {
    if let Some(this) = call.this_if_constructed::<BufferEventValue>() {
        this.bev.free();
        for slot in [READ, WRITE, EVENT, ARGUMENT] {
            call.answer.keep.push(Keep::Clear { slot });
        }
    }
    Ok(Value::Void)
}

/// `close(): void`
///
/// True, or false without a descriptor: PECL returns that although it declares void. Closes what it
/// was given also without `OPT_CLOSE_ON_FREE`.
pub(crate) fn close(call: &mut Call) -> Result<Value, Failure> {
    let this = call.this::<BufferEventValue>()?;
    if this.bev.fd().is_none() {
        return Ok(Value::Bool(false));
    }
    if let Some(socket) = this.socket.upgrade() {
        socket.close_at_end();
    }
    let has_descriptor = this.under.as_ref().unwrap_or(&this.bev);
    Ok(Value::Bool(has_descriptor.close().is_ok()))
}

/// `connect(string $addr): bool`
pub(crate) fn connect(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let address = call.text(0)?.unwrap_or_default();
    call.done(bev.connect(address))
}

/// `connectHost(?EventDnsBase $dns_base, string $hostname, int $port, int $family = 0): bool`
pub(crate) fn connect_host(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let dns = call.optional_object::<EventDnsBase>(0)?;
    let host = call.text(1)?.unwrap_or_default();
    let port = call.port(2, 1).map_err(Failure::Warning)?;
    let family = AddressFamily::from(call.c_int(3, "address family")?);
    if dns.is_none() && host_name::is_name(host) {
        let address = look_up(host, family)?;
        return call.done(bev.connect_host(
            None,
            &address.to_string(),
            port,
            AddressFamily::UNSPEC,
        ));
    }
    call.done(bev.connect_host(dns.as_ref(), host, port, family))
}

/// The first address of a name that is of the family.
fn look_up(host: &str, family: AddressFamily) -> Result<IpAddr, Failure> {
    let addresses = host_name::look_up(host).map_err(Failure::Warning)?;
    let fits = |ip: &IpAddr| match family {
        AddressFamily::INET => ip.is_ipv4(),
        AddressFamily::INET6 => ip.is_ipv6(),
        _ => true,
    };
    let none = || Failure::Warning(format!("{host} has no address of this family"));
    addresses.into_iter().find(fits).ok_or_else(none)
}

/// `getDnsErrorString(): string`
pub(crate) fn get_dns_error_string(call: &mut Call) -> Result<Value, Failure> {
    let text = this(call)?.get_dns_error_string()?;
    Ok(Value::text(text.unwrap_or_default()))
}

/// `setCallbacks(?callable $readcb, ?callable $writecb, ?callable $eventcb, mixed $arg = null): void`
pub(crate) fn set_callbacks(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    bev.set_callbacks(callbacks(call, 0, &call.identity()))?;
    keep_callbacks(call, 0);
    Ok(Value::Void)
}

/// `enable(int $events): bool`
///
/// PHP's manual has a server enable reading on the buffer event of a request, so that it notices a
/// client that goes. Here the close callback alone does that.
pub(crate) fn enable(call: &mut Call) -> Result<Value, Failure> {
    let this: &BufferEventValue = call.this()?;
    if this.is_view {
        this.bev.get_enabled()?;
        return Ok(Value::Bool(true));
    }
    let bev = this.bev.clone();
    let events = events(call.int(0));
    call.done(bev.enable(events))
}

/// `disable(int $events): bool`
pub(crate) fn disable(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let events = events(call.int(0));
    call.done(bev.disable(events))
}

fn events(given: Option<i64>) -> EventFlags {
    let bits = i16::try_from(given.unwrap_or(0) & 6).unwrap_or(0);
    EventFlags::from_bits_retain(bits)
}

/// `getEnabled(): int`
pub(crate) fn get_enabled(call: &mut Call) -> Result<Value, Failure> {
    let enabled = this(call)?.get_enabled()?;
    Ok(Value::Int(enabled.bits().into()))
}

/// `getInput(): EventBuffer`
pub(crate) fn get_input(call: &mut Call) -> Result<Value, Failure> {
    let buffer = this(call)?.get_input()?;
    Ok(view(buffer))
}

/// `getOutput(): EventBuffer`
pub(crate) fn get_output(call: &mut Call) -> Result<Value, Failure> {
    let buffer = this(call)?.get_output()?;
    Ok(view(buffer))
}

/// A new object for a buffer that a connection has.
pub(crate) fn view(buffer: EventBuffer) -> Value {
    Value::New(Held::new(buffer))
}

/// `setWatermark(int $events, int $lowmark, int $highmark): void`
pub(crate) fn set_watermark(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let mark = |n| usize::try_from(call.int(n).unwrap_or(0)).unwrap_or(0);
    bev.set_watermark(events(call.int(0)), mark(1), mark(2))?;
    Ok(Value::Void)
}

/// `write(string $data): bool`
pub(crate) fn write(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    call.done(bev.write(call.bytes(0).unwrap_or_default()))
}

/// `writeBuffer(EventBuffer $buf): bool`
pub(crate) fn write_buffer(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let buffer = call.object::<EventBuffer>(0)?;
    call.done(bev.write_buffer(&buffer))
}

/// `read(int $size): ?string`
pub(crate) fn read(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let size = usize::try_from(call.int(0).unwrap_or(0)).unwrap_or(0);
    Ok(bev.read(size)?.map_or(Value::Null, Value::String))
}

/// `readBuffer(EventBuffer $buf): bool`
pub(crate) fn read_buffer(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let buffer = call.object::<EventBuffer>(0)?;
    call.done(bev.read_buffer(&buffer))
}

/// `static createPair(EventBase $base, int $options = 0): array|false`
pub(crate) fn create_pair(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let (one, other) = EventBufferEvent::create_pair(&base, options(call.int(1)))?;
    let halves = [one, other].map(|half| (Key::Next, new_object(half)));
    Ok(Value::Array(halves.into()))
}

/// A new object for a buffer event.
fn new_object(bev: EventBufferEvent) -> Value {
    Value::New(Held::new(BufferEventValue::new(bev, Weak::new())))
}

/// A new object for the buffer event of a server's request.
pub(crate) fn new_view(bev: EventBufferEvent) -> Value {
    let mut value = BufferEventValue::new(bev, Weak::new());
    value.is_view = true;
    Value::New(Held::new(value))
}

/// `setPriority(int $priority): bool`
pub(crate) fn set_priority(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let priority = i32::try_from(call.int(0).unwrap_or(-1)).unwrap_or(-1);
    Ok(Value::Bool(bev.set_priority(priority).is_ok()))
}

/// `setTimeouts(float $timeout_read, float $timeout_write): bool`
pub(crate) fn set_timeouts(call: &mut Call) -> Result<Value, Failure> {
    let bev = this(call)?;
    let time = |n| call.float(n).map(seconds);
    call.done(bev.set_timeouts(time(0), time(1)))
}

fn state(given: Option<i64>) -> Result<SslState, Failure> {
    let states = [SslState::Connecting, SslState::Accepting];
    let state = states
        .into_iter()
        .find(|state| Some(*state as i64) == given);
    state.ok_or_else(|| {
        Failure::Warning("Invalid state: give SSL_CONNECTING or SSL_ACCEPTING".to_owned())
    })
}

/// `static createSslFilter(EventBufferEvent $unnderlying, EventSslContext $ctx, int $state,
/// int $options = 0): EventBufferEvent`
pub(crate) fn create_ssl_filter(call: &mut Call) -> Result<Value, Failure> {
    let parts = |under: &BufferEventValue| (under.bev.clone(), under.socket.clone());
    let (under, socket) = call.object_with(0, parts)?;
    let context = call.object::<EventSslContext>(1)?;
    let state = state(call.int(2))?;
    let options = options(call.int(3));
    let bev = EventBufferEvent::create_ssl_filter(&under, &context, state, options)?;
    let mut value = BufferEventValue::new(bev, socket);
    value.under = Some(under);
    Ok(Value::New(Held::new(value)))
}

/// `static sslSocket(EventBase $base, mixed $socket, EventSslContext $ctx, int $state,
/// int $options = 0): EventBufferEvent`
pub(crate) fn ssl_socket(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let context = call.object::<EventSslContext>(2)?;
    let state = state(call.int(3))?;
    let options = options(call.int(4));
    let close = options.contains(BufferEventOptions::CLOSE_ON_FREE);
    let mut lent = Weak::new();
    let bev = match call.lent_socket(1).map_err(Failure::Warning)? {
        Some(socket) => socket.lend_to(close, |socket| {
            lent = Rc::downgrade(&socket);
            EventBufferEvent::ssl_socket(&base, socket, &context, state, options)
        })?,
        None => EventBufferEvent::ssl_unconnected(&base, &context, state, options)?,
    };
    Ok(Value::New(Held::new(BufferEventValue::new(bev, lent))))
}

/// `sslError(): string`
pub(crate) fn ssl_error(call: &mut Call) -> Result<Value, Failure> {
    let error = this(call)?.ssl_error()?;
    Ok(error.map_or(Value::Bool(false), Value::text))
}

/// `sslRenegotiate(): void`
///
/// Does nothing: TLS 1.3 has no renegotiation, and contexts turn that of TLS 1.2 off.
pub(crate) fn ssl_renegotiate(call: &mut Call) -> Result<Value, Failure> {
    let _bev = this(call)?;
    Ok(Value::Void)
}

/// `sslGetCipherInfo(): string`
pub(crate) fn ssl_get_cipher_info(call: &mut Call) -> Result<Value, Failure> {
    let info = this(call)?.ssl_get_cipher_info()?;
    text_or_false(info.map(|info| info + "\n")) // as OpenSSL writes it
}

/// `sslGetCipherName(): string`
pub(crate) fn ssl_get_cipher_name(call: &mut Call) -> Result<Value, Failure> {
    text_or_false(this(call)?.ssl_get_cipher_name()?)
}

/// `sslGetCipherVersion(): string`
pub(crate) fn ssl_get_cipher_version(call: &mut Call) -> Result<Value, Failure> {
    text_or_false(this(call)?.ssl_get_cipher_version()?)
}

/// `sslGetProtocol(): string`
pub(crate) fn ssl_get_protocol(call: &mut Call) -> Result<Value, Failure> {
    text_or_false(this(call)?.ssl_get_protocol()?)
}

fn text_or_false(text: Option<String>) -> Result<Value, Failure> {
    Ok(text.map_or(Value::Bool(false), Value::text))
}

/// The properties.
pub(crate) fn property(call: &mut Call, name: &str) -> Value {
    let Some(this) = call.this_if_constructed::<BufferEventValue>() else {
        return Value::Null;
    };
    match name {
        "fd" => this
            .bev
            .fd()
            .map_or(Value::Null, |fd| Value::Int(fd.into())),
        "input" => same_buffer(call, &this.has_input, INPUT, || this.bev.get_input()),
        "output" => same_buffer(call, &this.has_output, OUTPUT, || this.bev.get_output()),
        "allow_ssl_dirty_shutdown" => {
            let without_tls = matches!(this.bev.ssl_get_protocol(), Ok(None)); // PECL's is true then
            Value::Bool(without_tls || this.bev.allow_ssl_dirty_shutdown())
        }
        _ => Value::Null, // `priority` reads null under PECL
    }
}

/// The buffer object that a slot has, or a new one for it; null after `free`.
fn same_buffer(
    call: &mut Call,
    has: &Cell<bool>,
    slot: u32,
    buffer: impl FnOnce() -> php_event::Result<EventBuffer>,
) -> Value {
    let Ok(buffer) = buffer() else {
        return Value::Null;
    };
    if has.replace(true) {
        return Value::Slot(slot);
    }
    call.keep(slot, 0);
    view(buffer)
}

/// An assignment to a property.
pub(crate) fn set_property(call: &mut Call, name: &str) -> Result<Value, Failure> {
    let Some(this) = call.this_if_constructed::<BufferEventValue>() else {
        return Ok(Value::Void);
    };
    match (name, call.argument(0)) {
        // PECL says nothing of a wrong priority, or of a buffer event without TLS.
        ("priority", value) => {
            let priority = integer(&value).and_then(|number| i32::try_from(number).ok());
            this.bev.set_priority(priority.unwrap_or(-1)).ok();
        }
        ("allow_ssl_dirty_shutdown", value) => {
            let allow = match value {
                Argument::Bool(truth) => truth,
                Argument::Int(number) => number != 0,
                Argument::String(text) => !matches!(text, b"" | b"0"),
                _ => false,
            };
            this.bev.set_allow_ssl_dirty_shutdown(allow).ok();
        }
        _ => {}
    }
    Ok(Value::Void)
}

fn this(call: &Call) -> Result<EventBufferEvent, Failure> {
    let this: &BufferEventValue = call.this()?;
    Ok(this.bev.clone())
}
