//! A TLS client and server in one loop, and the events that they report.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent,
    EventSslContext, Result, SslMethod, SslOption, SslState, SslValue,
};

use test_support::run;
use test_support::tls::{Authority, Folder, Identity};

pub(crate) const CONNECTED: BufferEventFlags = EventBufferEvent::CONNECTED;
pub(crate) const ERROR: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::ERROR);
pub(crate) const EOF: BufferEventFlags = EventBufferEvent::READING.union(EventBufferEvent::EOF);
pub(crate) const CONNECTING: SslState = EventBufferEvent::SSL_CONNECTING;
pub(crate) const ACCEPTING: SslState = EventBufferEvent::SSL_ACCEPTING;
pub(crate) const NO_OPTIONS: BufferEventOptions = BufferEventOptions::empty();

/// What carries the bytes between client and server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Sockets,
    FiltersOnPair,
    FiltersOnSockets,
    FiltersOnTls,
}

pub(crate) const WIRES: [Wire; 4] = [
    Wire::Sockets,
    Wire::FiltersOnPair,
    Wire::FiltersOnSockets,
    Wire::FiltersOnTls,
];

/// Whether freeing a filter frees the buffer event below it.
pub(crate) const CLOSING: [BufferEventOptions; 2] =
    [NO_OPTIONS, EventBufferEvent::OPT_CLOSE_ON_FREE];

/// An authority, and contexts with certificates signed by it.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) authority: Authority,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: Folder::new(),
            authority: Authority::new(),
        }
    }

    /// A server with a certificate for `localhost` and 127.0.0.1.
    pub(crate) fn server(&self) -> EventSslContext {
        self.server_as(&self.authority.sign(&["localhost", "127.0.0.1"]), &[])
    }

    pub(crate) fn server_as(
        &self,
        identity: &Identity,
        more: &[(SslOption, SslValue)],
    ) -> EventSslContext {
        let files = identity.save(&self.folder, "server");
        let mut options = vec![(EventSslContext::OPT_LOCAL_CERT, files.both.as_path().into())];
        options.extend(more.iter().cloned());
        context(EventSslContext::TLS_SERVER_METHOD, &options)
    }

    /// A client that trusts the authority.
    pub(crate) fn client(&self) -> EventSslContext {
        self.client_with(&[])
    }

    pub(crate) fn client_with(&self, more: &[(SslOption, SslValue)]) -> EventSslContext {
        let trusted = self.authority.save(&self.folder, "authority");
        let mut options = vec![(EventSslContext::OPT_CA_FILE, trusted.as_path().into())];
        options.extend(more.iter().cloned());
        context(EventSslContext::TLS_CLIENT_METHOD, &options)
    }

    /// A server and a client over `wire`; the client expects `localhost`.
    pub(crate) fn connect(
        &self,
        base: &EventBase,
        wire: Wire,
        options: BufferEventOptions,
    ) -> (EventBufferEvent, EventBufferEvent) {
        let (server, client) = join(base, wire, &self.server(), &self.client(), options);
        client.set_ssl_host("localhost").unwrap();
        (server, client)
    }
}

pub(crate) fn context(method: SslMethod, options: &[(SslOption, SslValue)]) -> EventSslContext {
    EventSslContext::new(method, options).unwrap()
}

/// A server and a client on a socket pair; both read.
pub(crate) fn sockets(
    base: &EventBase,
    server: &EventSslContext,
    client: &EventSslContext,
) -> (EventBufferEvent, EventBufferEvent) {
    join(base, Wire::Sockets, server, client, NO_OPTIONS)
}

/// A server and a client over `wire`; both read.
pub(crate) fn join(
    base: &EventBase,
    wire: Wire,
    server: &EventSslContext,
    client: &EventSslContext,
    options: BufferEventOptions,
) -> (EventBufferEvent, EventBufferEvent) {
    let filter = |under: &EventBufferEvent, context, state: SslState| {
        EventBufferEvent::create_ssl_filter(under, context, state, options).unwrap()
    };
    let (accepting, connecting) = (
        EventBufferEvent::SSL_ACCEPTING,
        EventBufferEvent::SSL_CONNECTING,
    );
    let (one, other) = UnixStream::pair().unwrap();
    let made = match wire {
        Wire::Sockets => (
            EventBufferEvent::ssl_socket(base, one, server, accepting, options).unwrap(),
            EventBufferEvent::ssl_socket(base, other, client, connecting, options).unwrap(),
        ),
        Wire::FiltersOnPair => {
            let (one, other) = EventBufferEvent::create_pair(base, NO_OPTIONS).unwrap();
            (
                filter(&one, server, accepting),
                filter(&other, client, connecting),
            )
        }
        Wire::FiltersOnSockets => {
            let one = EventBufferEvent::new(base, one, NO_OPTIONS).unwrap();
            let other = EventBufferEvent::new(base, other, NO_OPTIONS).unwrap();
            (
                filter(&one, server, accepting),
                filter(&other, client, connecting),
            )
        }
        Wire::FiltersOnTls => {
            let (one, other) = join(base, Wire::Sockets, server, client, NO_OPTIONS);
            other.set_ssl_host("localhost").unwrap();
            (
                filter(&one, server, accepting),
                filter(&other, client, connecting),
            )
        }
    };
    made.0.enable(Event::READ).unwrap();
    made.1.enable(Event::READ).unwrap();
    made
}

/// The reported events, in order.
#[derive(Clone, Default)]
pub(crate) struct Seen(Rc<RefCell<Vec<(&'static str, BufferEventFlags)>>>);

impl Seen {
    pub(crate) fn add(&self, name: &'static str, what: BufferEventFlags) {
        self.0.borrow_mut().push((name, what));
    }

    /// The events of the buffer event with that name.
    pub(crate) fn of(&self, name: &str) -> Vec<BufferEventFlags> {
        let seen = self.0.borrow();
        let of_name = seen.iter().filter(|(who, _)| *who == name);
        of_name.map(|(_, what)| *what).collect()
    }
}

/// Callbacks that record events, and free the buffer event when it ends.
pub(crate) fn noting(seen: &Seen, name: &'static str) -> Callbacks {
    let seen = seen.clone();
    Callbacks::new().on_event(move |bev, what| {
        seen.add(name, what);
        if what != CONNECTED {
            bev.free();
        }
    })
}

/// How a handshake ended on both sides.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) server: (Vec<BufferEventFlags>, Vec<String>),
    pub(crate) client: (Vec<BufferEventFlags>, Vec<String>),
}

impl Outcome {
    #[track_caller]
    pub(crate) fn assert_established(&self) {
        assert_eq!(self.server.0, [CONNECTED, EOF], "{self:?}");
        assert_eq!(self.client.0, [CONNECTED], "{self:?}");
    }

    /// The handshake failed, and the client has the reason.
    #[track_caller]
    pub(crate) fn assert_client_refuses(&self, why: &str) {
        assert_eq!(self.client.0, [ERROR], "{self:?}");
        assert_eq!(self.server.0, [ERROR], "{self:?}");
        assert!(self.client.1[0].contains(why), "{self:?}");
    }

    /// The server refused the client, and both have the reason.
    #[track_caller]
    pub(crate) fn assert_server_refuses(&self, why: &str, alert: &str) {
        assert_eq!(self.server.0, [ERROR], "{self:?}");
        assert_eq!(self.client.0.last(), Some(&ERROR), "{self:?}");
        assert!(self.server.1[0].contains(why), "{self:?}");
        assert!(self.client.1[0].contains(alert), "{self:?}");
    }
}

/// All queued OpenSSL errors.
pub(crate) fn errors(bev: &EventBufferEvent) -> Vec<String> {
    std::iter::from_fn(|| bev.ssl_error().unwrap()).collect()
}

/// Runs a handshake; if it succeeds, the client frees itself when it has read a greeting.
pub(crate) fn handshake(
    base: &EventBase,
    server: EventBufferEvent,
    client: EventBufferEvent,
) -> Outcome {
    type Side = Rc<RefCell<(Vec<BufferEventFlags>, Vec<String>)>>;
    let sides: [Side; 2] = Default::default();
    let note = |side: &Side| {
        let side = Rc::clone(side);
        move |bev: &EventBufferEvent, what| {
            side.borrow_mut().0.push(what);
            if what != CONNECTED {
                side.borrow_mut().1.extend(errors(bev));
                bev.free();
            }
        }
    };
    let server_note = note(&sides[0]);
    let greet = Callbacks::new().on_event(move |bev, what| {
        if what == CONNECTED {
            bev.write("hello").unwrap();
        }
        server_note(bev, what);
    });
    server.set_callbacks(greet).unwrap();
    let leave = Callbacks::new().on_event(note(&sides[1])).on_read(|bev| {
        if bev.input().length() == 5 {
            bev.free();
        }
    });
    client.set_callbacks(leave).unwrap();
    run(base);
    drop((server, client));
    let [server, client] = sides.map(|side| side.take());
    Outcome { server, client }
}

/// How long a loop runs in which nothing should happen.
pub(crate) fn soon() -> Option<Duration> {
    Some(Duration::from_millis(50))
}

/// The error of a call that must not succeed.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.unwrap_err().to_string()
}
