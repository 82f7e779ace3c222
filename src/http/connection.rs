//! `EventHttpConnection`: a connection, of a client or of a server's requests.
//!
//! Owns: its close closure, and what its [`End`] says.
//! Lent to C: what its [`End`] lends. Runs user code: the close closure.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use php_event_macros::php;

use super::client;
use super::server_connection::{ServerConnection, checked_timeout};
use crate::base;
use crate::error::{Error, Result};
use crate::runtime::{Ending, Slot};

/// A connection of a server or of a client.
///
/// A server's connection belongs to libevent and ends when its peer goes; after that, calls on
/// the handle return [`Error::Freed`]. A client's connection connects with its first request, and
/// again when it is needed after the server has closed it. While it is connected, it keeps the
/// loop running, also between two requests. When its last handle is dropped, it is closed, its
/// requests are cancelled, and all closures are dropped without a call. A clone is the same
/// connection, as a PHP variable would be.
///
/// PHP: `EventHttpConnection`. libevent: `struct evhttp_connection`.
///
/// # Examples
/// A client's:
/// ```
/// use php_event::{EventBase, EventHttpConnection, EventHttpRequest};
///
/// # let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
/// let base = EventBase::new()?;
/// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", port)?;
/// let request = EventHttpRequest::new(|answer| match answer {
///     Some(answer) => println!("{}", answer.get_response_code().unwrap()),
///     None => println!("no answer"),
/// })?;
/// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
/// base.dispatch()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// A server's:
/// ```
/// # use php_event::{EventBase, EventHttp};
/// # let http = EventHttp::new(&EventBase::new()?)?;
/// http.set_callback("/wait", |request| {
///     let connection = request.get_connection().unwrap();
///     let (address, port) = connection.get_peer().unwrap();
///     println!("{address}:{port} waits");
///     connection.set_close_callback(|_connection| println!("and is gone")).unwrap();
///     // … and keep a clone of the request, to answer it later
/// })?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
#[doc(alias = "evhttp_connection")]
pub struct EventHttpConnection(pub(crate) Rc<Inner>);

pub(crate) type CloseCallback = dyn FnMut(&EventHttpConnection);

/// What all handles of one connection share.
pub(crate) struct Inner {
    base: Rc<base::Inner>,
    pub(crate) slot: Slot<CloseCallback>,
    pub(super) wants_close: Cell<bool>, // a close callback is set
    pub(super) end: End,
}

/// Which end of the connection is ours. Every method of the class calls the one of the end that
/// has its name.
pub(crate) enum End {
    /// A server's. Only this end knows an `evhttp_connection`.
    Server(ServerConnection),
    /// A client's.
    Client(client::ClientConnection),
}

/// The error of a call on a connection that has ended.
pub(super) fn freed(call: &'static str) -> Error {
    Error::Freed {
        call,
        object: "connection",
    }
}

impl Inner {
    pub(super) fn new(base: &Rc<base::Inner>, end: End) -> Self {
        Self {
            base: Rc::clone(base),
            slot: Slot::empty(),
            wants_close: Cell::new(false),
            end,
        }
    }

    pub(crate) fn base(&self) -> &Rc<base::Inner> {
        &self.base
    }

    /// Refuses a connection whose base may not be used, and a server's that has ended.
    fn usable(&self, call: &'static str) -> Result<()> {
        self.base.usable(call)?;
        match &self.end {
            End::Server(conn) => conn.usable(call),
            End::Client(_) => Ok(()),
        }
    }

    /// After the end: what the close callback had is given back, for the caller to drop.
    pub(crate) fn take_callback(&self) -> Option<Box<CloseCallback>> {
        self.wants_close.set(false);
        self.slot.set(None)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut ending = Ending::default();
        if let End::Client(client) = &self.end {
            ending.run(|| client.ends(self));
        }
        ending.drop(self.slot.set(None));
        ending.finish();
    }
}

impl EventHttpConnection {
    /// The peer's address and port; a client's are those that it was made with, connected or
    /// not.
    ///
    /// # Errors
    /// [`Error::Freed`] when the connection has ended; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let (address, port) = request.get_connection().unwrap().get_peer().unwrap();
    ///     println!("{address}:{port}");
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::getPeer",
        php_note = ", whose arguments are never filled",
        c = "evhttp_connection_get_peer"
    )]
    pub fn get_peer(&self) -> Result<(String, u16)> {
        self.0.usable(CALL)?;
        match &self.0.end {
            End::Server(conn) => conn.peer(CALL),
            End::Client(client) => Ok(client.peer()),
        }
    }

    /// Sets how long the peer may be silent; `None` is no limit. A server's connection starts with
    /// the time of [`EventHttp::set_timeout`](crate::EventHttp::set_timeout), a client's with 50
    /// seconds. For a client, the time also limits the lookup of the name and the connecting.
    ///
    /// # Errors
    /// [`Error::Argument`] for a time of zero, or below a microsecond; [`Error::Freed`] when
    /// the connection has ended; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let connection = request.get_connection().unwrap();
    ///     connection.set_timeout(Some(std::time::Duration::from_secs(300))).unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setTimeout",
        php_note = ", in seconds",
        c = "evhttp_connection_set_timeout_tv"
    )]
    #[doc(alias = "evhttp_connection_set_timeout")]
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.0.usable(CALL)?;
        checked_timeout(CALL, timeout)?;
        match &self.0.end {
            End::Server(conn) => conn.set_timeout(timeout),
            End::Client(client) => client.set_timeout(&self.0, timeout),
        }
        Ok(())
    }

    /// Sets the closure that is called when the connection has ended: once, or for a client's
    /// connection each time.
    ///
    /// It is called in the turn of the loop after the end, for any end: the peer went, was silent
    /// for too long, or the server closed. It is not called when the server itself is dropped.
    /// From this call on, a peer that goes while its request waits for a reply is noticed; one
    /// that only shuts down its writing side counts as gone, too.
    ///
    /// A client's closure is called before that of the request which fails with the connection,
    /// and not when the last handle is dropped, where PHP calls what it has freed.
    ///
    /// # Errors
    /// [`Error::Freed`] when the connection has ended; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     let connection = request.get_connection().unwrap();
    ///     connection.set_close_callback(|_connection| println!("gone")).unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpConnection::setCloseCallback",
        php_note = ", which misses a peer that goes while its request waits",
        c = "evhttp_connection_set_closecb"
    )]
    pub fn set_close_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventHttpConnection) + 'static,
    {
        self.0.usable(CALL)?;
        self.0.wants_close.set(true);
        let former = self.0.slot.set(Some(Box::new(callback)));
        match &self.0.end {
            End::Server(conn) => conn.watch_for_close(&self.0),
            End::Client(_) => {}
        }
        drop(former); // no borrow is held: captured values may run user code
        Ok(())
    }
}

impl PartialEq for EventHttpConnection {
    /// Whether both are the same connection, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for EventHttpConnection {}

impl fmt::Debug for EventHttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventHttpConnection")
            .field("usable", &self.0.usable("").is_ok())
            .finish_non_exhaustive()
    }
}
