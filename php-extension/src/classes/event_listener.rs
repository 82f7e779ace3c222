//! `EventListener`.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, IntoRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::stream::Stream;
use php_event::{Address, EventBase, EventListener, ListenerFlags, ListenerTarget};

use super::event_base::Runner;
use super::event_util::name_values;
use crate::bridge::{self, LentSocket};
use crate::call::{Argument, Call, Failure, Keep, Key, Value};
use crate::host_name;
use crate::object::{Called, Held, Identity, Object};

/// The slots of a listener.
const CALLBACK: u32 = 0;
const DATA: u32 = 1;
const ERROR_CALLBACK: u32 = 2;

/// The Rust half of an `EventListener`.
pub(crate) struct ListenerValue {
    listener: EventListener,
    runner: Runner, // `getBase` gives the base
    /// With `OPT_CLOSE_ON_FREE`, the stream, `Socket` or number that goes with the listener.
    closes: RefCell<Option<Rc<LentSocket>>>,
}

impl Object for ListenerValue {
    const SLOTS: u32 = ERROR_CALLBACK + 1;

    fn is_pending(&self) -> bool {
        self.listener.is_pending() && self.runner.has_another()
    }
}

/// `__construct(EventBase $base, callable $cb, mixed $data, int $flags, int $backlog, mixed $target)`
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let flags = i64::from(u32::MAX) & call.int(3).unwrap_or(0);
    // Locks and inherited descriptors have no meaning here, and unknown bits none anywhere.
    let flags = u32::try_from(flags).unwrap_or(0);
    let flags = ListenerFlags::from_bits_truncate(flags) & !ListenerFlags::THREADSAFE;
    let backlog = call.nearest_c_int(4).unwrap_or(-1);
    let (target, socket) = target(call)?;
    let close = flags.contains(ListenerFlags::CLOSE_ON_FREE);
    let identity = call.new_identity();
    let blocks = flags.contains(ListenerFlags::LEAVE_SOCKETS_BLOCKING);
    let accepted = move |listener: &EventListener, stream, peer| {
        accept(&identity, listener, stream, peer, blocks);
    };
    let listener = || EventListener::new(&base, accepted, flags, backlog, target);
    let made = match socket {
        Some(socket) => socket.lend_to(close, |socket| Ok((listener()?, close.then_some(socket)))),
        None => listener().map(|listener| (listener, None)),
    };
    match made {
        Ok((listener, closes)) => {
            call.keep(CALLBACK, 1);
            call.keep(DATA, 2);
            let runner = Runner::new(base);
            let closes = RefCell::new(closes);
            call.construct(ListenerValue {
                listener,
                runner,
                closes,
            })
        }
        Err(error) => Err(Failure::Exception(error.reason().into_owned())),
    }
}

/// What the listener listens on: an address, or a socket, of which it gets a descriptor of its own.
fn target(call: &Call) -> Result<(ListenerTarget, Option<LentSocket>), Failure> {
    match call.argument(5) {
        Argument::String(address) => {
            let address = std::str::from_utf8(address);
            let not_utf8 = |_| Failure::Exception("The address is not valid UTF-8".to_owned());
            let address = address.map_err(not_utf8)?;
            // PECL takes the prefix in any case.
            let unix = address
                .get(..5)
                .filter(|prefix| prefix.eq_ignore_ascii_case("unix:"));
            let target = match unix.and_then(|prefix| address.get(prefix.len()..)) {
                Some(path) => ListenerTarget::from(format!("unix:{path}")),
                None => address_target(address)?,
            };
            Ok((target, None))
        }
        _ => {
            let socket = call.lent_socket(5).map_err(Failure::Exception)?;
            let none = || Failure::Exception("Give an address or a socket".to_owned());
            let socket = socket.ok_or_else(none)?;
            let own = socket.as_fd().try_clone_to_owned();
            let own = own.map_err(|error| Failure::Exception(error.to_string()))?;
            Ok((ListenerTarget::from(own), Some(socket)))
        }
    }
}

/// An address as text. As under PECL, a name stands for the first of its addresses.
fn address_target(address: &str) -> Result<ListenerTarget, Failure> {
    let Ok(Address::Name { host, port }) = address.parse() else {
        return Ok(ListenerTarget::from(address)); // the library says what is wrong with it
    };
    let addresses = host_name::look_up(&host).map_err(Failure::Exception)?;
    let first = addresses.first().map(|ip| SocketAddr::new(*ip, port));
    Ok(first.map_or_else(|| ListenerTarget::from(address), ListenerTarget::from))
}

/// A connection goes to PHP as a number, which the callback owns.
fn accept(
    identity: &Identity,
    listener: &EventListener,
    stream: Stream,
    peer: Option<SocketAddr>,
    blocks: bool,
) {
    let Some(descriptor) = descriptor(stream, blocks) else {
        return;
    };
    let number = descriptor.into_raw_fd();
    let address = peer.map_or(Value::Null, |peer| {
        let ip = Value::text(peer.ip().to_string());
        let port = Value::Int(peer.port().into());
        Value::Array(vec![(Key::Next, ip), (Key::Next, port)])
    });
    let arguments = [
        Value::This,
        Value::Int(number.into()),
        address,
        Value::Slot(DATA),
    ];
    match identity.call(CALLBACK, arguments) {
        Called::Returned => {}
        // Nobody has it: it is closed, where PECL leaves it open.
        Called::NotCallable => bridge::close(number),
        Called::Ended => {
            bridge::close(number);
            listener.disable().ok();
        }
    }
}

/// The descriptor of a connection, which `blocks` or not.
fn descriptor(stream: Stream, blocks: bool) -> Option<OwnedFd> {
    let descriptor = stream.into_fd().ok()?;
    if !blocks {
        return Some(descriptor);
    }
    // For its call, which works on any socket.
    let socket = UnixStream::from(descriptor);
    socket.set_nonblocking(false).ok();
    Some(socket.into())
}

/// `free(): void`
pub(crate) fn free(call: &mut Call) -> Result<Value, Failure> {
    if let Some(this) = call.this_if_constructed::<ListenerValue>() {
        this.listener.free();
        for slot in [CALLBACK, DATA, ERROR_CALLBACK] {
            call.answer.keep.push(Keep::Clear { slot });
        }
        drop(this.closes.take()); // may run code of PHP's
    }
    Ok(Value::Void)
}

/// `enable(): bool`
pub(crate) fn enable(call: &mut Call) -> Result<Value, Failure> {
    let listener = this(call)?;
    call.done(listener.enable())
}

/// `disable(): bool`
pub(crate) fn disable(call: &mut Call) -> Result<Value, Failure> {
    let listener = this(call)?;
    call.done(listener.disable())
}

/// `setCallback(callable $cb, mixed $arg = null): void`
///
/// Without `$arg` the data stays.
pub(crate) fn set_callback(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.get_base()?; // of one that was freed there is none
    call.keep(CALLBACK, 0);
    if !call.argument(1).is_null() {
        call.keep(DATA, 1);
    }
    Ok(Value::Void)
}

/// `setErrorCallback(callable $cb): void`
pub(crate) fn set_error_callback(call: &mut Call) -> Result<Value, Failure> {
    let listener = this(call)?;
    let identity = call.identity();
    listener.set_error_callback(move |listener| {
        let arguments = [Value::This, Value::Slot(DATA)];
        if identity.call(ERROR_CALLBACK, arguments) == Called::Ended {
            listener.disable().ok();
        }
    })?;
    call.keep(ERROR_CALLBACK, 0);
    Ok(Value::Void)
}

/// `getBase(): EventBase`
pub(crate) fn get_base(call: &mut Call) -> Result<Value, Failure> {
    let base = this(call)?.get_base()?;
    Ok(Value::New(Held::new(base)))
}

/// `getSocketName(mixed &$address, mixed &$port): bool`
///
/// `$port` may be left out, though PECL declares it as required.
pub(crate) fn get_socket_name(call: &mut Call) -> Result<Value, Failure> {
    let name = this(call)?.get_socket_name()?;
    call.answer
        .out
        .extend(name_values(name).into_iter().enumerate());
    Ok(Value::Bool(true))
}

/// The property `fd`.
pub(crate) fn fd_property(call: &Call) -> Value {
    let fd = call
        .this_if_constructed::<ListenerValue>()
        .and_then(|this| this.listener.fd());
    fd.map_or(Value::Null, |fd| Value::Int(fd.into()))
}

fn this<'a>(call: &Call<'a>) -> Result<&'a EventListener, Failure> {
    let this: &ListenerValue = call.this()?;
    Ok(&this.listener)
}
