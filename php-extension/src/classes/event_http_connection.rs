//! `EventHttpConnection`.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use php_event::{EventBase, EventDnsBase, EventHttpConnection, EventSslContext, HttpError};

use super::event_http::{HEADERS_MAX, limit, methods, whole_seconds};
use super::event_http_request::{InFlight, MaybeInFlight, RequestValue};
use crate::call::{Call, Failure, Value};
use crate::host_name;
use crate::kept::{self, Count, Kept};
use crate::object::{Held, Object};

/// The slots: the event base, the close callback and its data.
const BASE: u32 = 0;
const CALLBACK: u32 = 1;
const DATA: u32 = 2;

/// The Rust half of an `EventHttpConnection`.
pub(crate) struct ConnectionValue {
    connection: EventHttpConnection,
    /// Whether it is a server's, which `getConnection` gave.
    is_view: bool,
    /// Dropped after `connection`, which cancels what is under way.
    requests: Requests,
}

/// The requests that were made on a connection. One that is cancelled because the connection is
/// dropped no longer keeps its PHP object alive.
#[derive(Default)]
struct Requests(RefCell<Vec<Weak<MaybeInFlight>>>);

impl Requests {
    fn add(&self, request: &Rc<MaybeInFlight>) {
        let mut requests = self.0.borrow_mut();
        requests.retain(|one| one.upgrade().is_some_and(|one| one.borrow().is_some()));
        requests.push(Rc::downgrade(request));
    }

    fn are_under_way(&self) -> bool {
        let requests = self.0.borrow();
        let mut requests = requests.iter().filter_map(Weak::upgrade);
        requests.any(|one| one.borrow().is_some())
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        for one in self.0.take().iter().filter_map(Weak::upgrade) {
            let error = one.borrow().as_ref().and_then(|made| made.request.error());
            if error == Some(HttpError::Cancelled) {
                drop(one.take());
            }
        }
    }
}

impl Object for ConnectionValue {
    const SLOTS: u32 = DATA + 1;

    fn is_pending(&self) -> bool {
        self.requests.are_under_way()
    }
}

/// A new object for the connection of a server's request.
pub(crate) fn new_object(connection: EventHttpConnection) -> Value {
    let is_view = true;
    let value = ConnectionValue {
        connection,
        is_view,
        requests: Requests::default(),
    };
    Value::New(Held::new(value))
}

/// `__construct(EventBase $base, ?EventDnsBase $dns_base, string $address, int $port,
/// ?EventSslContext $ctx = null)`
///
/// Without a DNS base a name is looked up here; PECL does it when it connects.
pub(crate) fn construct(call: &mut Call) -> Result<Value, Failure> {
    let base = call.object::<EventBase>(0)?;
    let dns = call.optional_object::<EventDnsBase>(1)?;
    let address = call.text(2)?.unwrap_or_default();
    let port = call.port(3, 0).map_err(Failure::EventException)?;
    let context = call.optional_object::<EventSslContext>(4)?;
    let connection = if dns.is_none() && host_name::is_name(address) {
        let addresses = host_name::look_up(address).map_err(Failure::EventException)?;
        match context {
            Some(context) => EventHttpConnection::with_addresses_and_ssl(
                &base, address, &addresses, port, &context,
            ),
            None => EventHttpConnection::with_addresses(&base, address, &addresses, port),
        }
    } else {
        let dns = dns.as_ref();
        match context {
            Some(context) => EventHttpConnection::with_ssl(&base, dns, address, port, &context),
            None => EventHttpConnection::new(&base, dns, address, port),
        }
    };
    let connection =
        connection.map_err(|error| Failure::EventException(error.reason().into_owned()))?;
    connection.set_max_headers_size(Some(HEADERS_MAX))?;
    connection.set_max_body_size(None)?;
    call.keep(BASE, 0);
    call.construct(ConnectionValue {
        connection,
        is_view: false,
        requests: Requests::default(),
    })
}

/// `getBase(): EventBase|false`
pub(crate) fn get_base(call: &mut Call) -> Result<Value, Failure> {
    match call.this::<ConnectionValue>()?.is_view {
        true => Ok(Value::Bool(false)),
        false => Ok(Value::Slot(BASE)),
    }
}

/// `getPeer(mixed &$address, mixed &$port): void`
///
/// Fills both, which PECL 3.1.5 means to and does not.
pub(crate) fn get_peer(call: &mut Call) -> Result<Value, Failure> {
    let (address, port) = this(call)?.get_peer()?;
    call.answer.out.push((0, Value::text(address)));
    call.answer.out.push((1, Value::Int(port.into())));
    Ok(Value::Void)
}

/// `setLocalAddress(string $address): void`
pub(crate) fn set_local_address(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.set_local_address(call.text(0)?.unwrap_or_default())?;
    Ok(Value::Void)
}

/// `setLocalPort(int $port): void`
pub(crate) fn set_local_port(call: &mut Call) -> Result<Value, Failure> {
    let connection = this(call)?;
    let port = call.port(0, 0).map_err(Failure::Warning)?;
    connection.set_local_port(port)?;
    Ok(Value::Void)
}

/// `setTimeout(int $timeout): void`
pub(crate) fn set_timeout(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.set_timeout(whole_seconds(call.int(0)))?;
    Ok(Value::Void)
}

/// `setMaxHeadersSize(int $max_size): void`
pub(crate) fn set_max_headers_size(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.set_max_headers_size(limit(call.int(0)))?;
    Ok(Value::Void)
}

/// `setMaxBodySize(int $max_size): void`
pub(crate) fn set_max_body_size(call: &mut Call) -> Result<Value, Failure> {
    this(call)?.set_max_body_size(limit(call.int(0)))?;
    Ok(Value::Void)
}

/// `setRetries(int $retries): void`
///
/// −1 tries for ever.
pub(crate) fn set_retries(call: &mut Call) -> Result<Value, Failure> {
    let retries = call.int(0).and_then(|retries| u32::try_from(retries).ok());
    this(call)?.set_retries(retries)?;
    Ok(Value::Void)
}

/// `makeRequest(EventHttpRequest $req, int $type, string $uri): ?bool`
pub(crate) fn make_request(call: &mut Call) -> Result<Value, Failure> {
    let this: &ConnectionValue = call.this()?;
    let parts = |value: &RequestValue| (value.request.clone(), Rc::clone(&value.in_flight));
    let (request, in_flight) = call.object_with(0, parts)?;
    let uri = call.text(2)?.unwrap_or_default();
    this.connection
        .make_request(&request, methods(call.int(1)), uri)?;
    let base = this.connection.get_base();
    let made = call.hold(0).map(|object| InFlight {
        count: Count {
            _object: object,
            base,
        },
        request,
    });
    drop(in_flight.replace(made));
    this.requests.add(&in_flight);
    kept::note(&in_flight);
    Ok(Value::Bool(true))
}

/// `setCloseCallback(callable $callback, mixed $data = null): void`
///
/// Without `$data` the former data stay.
pub(crate) fn set_close_callback(call: &mut Call) -> Result<Value, Failure> {
    let this: &ConnectionValue = call.this()?;
    let identity = call.identity();
    let connection = this.connection.clone();
    // A server's connection needs no variable until it has ended, as under PECL.
    let object = this.is_view.then(|| call.hold_this()).flatten();
    let count = object.map(|object| {
        let base = connection.get_base();
        let count = Rc::new(Kept::new(Some(Count {
            _object: object,
            base,
        })));
        kept::note(&count);
        count
    });
    connection.set_close_callback(move |_connection| {
        let _count = &count;
        let arguments = [Value::This, Value::Slot(DATA)];
        identity.call(CALLBACK, arguments);
    })?;
    call.keep(CALLBACK, 0);
    if !call.argument(1).is_null() {
        call.keep(DATA, 1);
    }
    Ok(Value::Void)
}

fn this(call: &Call) -> Result<EventHttpConnection, Failure> {
    let this: &ConnectionValue = call.this()?;
    Ok(this.connection.clone())
}
