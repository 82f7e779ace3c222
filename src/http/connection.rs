//! `EventHttpConnection`: a connection, as its requests see it.
//!
//! Owns: its close closure. `raw` is null before libevent has made the native connection, and
//! from the moment when it frees it.
//! Lent to C: what its [`End`] lends. Runs user code: the close closure, through `trampoline`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::fmt;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use super::{client, headers, peer, server};
use crate::error::{Error, Result};
use crate::trampoline::Slot;
use crate::{base, ffi};

/// A connection, on the serving and on the asking side.
///
/// A server's requests come over one: it belongs to libevent and ends with its peer, and the
/// handle is a view, whose calls answer [`Error::Freed`] then. A client makes one for its
/// requests: it connects with the first, and again when it is needed after its server has
/// closed. When the last handle of that goes, it is closed, the requests that are under way are
/// cancelled, and their closures and its own are dropped without a call. A clone is the same
/// connection, as a PHP variable would be.
///
/// PHP: `EventHttpConnection`. libevent: `struct evhttp_connection`.
///
/// # Examples
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
    raw: Cell<*mut ffi::evhttp_connection>,
    base: Rc<base::Inner>,
    pub(crate) slot: Slot<CloseCallback>,
    pub(super) wants_close: Cell<bool>, // a close callback is set
    pub(super) end: End,
}

/// Which end of the connection is ours.
pub(crate) enum End {
    Server(peer::Peer),
    Client(client::Client),
}

impl Inner {
    /// The connection that evhttp is about to make around `bev`.
    ///
    /// # Safety
    /// `bev` was made for evhttp, which will free it.
    pub(super) unsafe fn of_server(
        server: &Rc<server::Inner>,
        bev: *mut ffi::bufferevent,
    ) -> Rc<Self> {
        let end = End::Server(peer::Peer::new(server, bev));
        let inner = Rc::new(Self::new(&server.base, end));
        // SAFETY: the caller's duty.
        unsafe { inner.peer().watch_over(&inner) };
        inner
    }

    /// A connection whose native half is not made yet.
    pub(super) fn new(base: &Rc<base::Inner>, end: End) -> Self {
        Self {
            raw: Cell::new(ptr::null_mut()),
            base: Rc::clone(base),
            slot: Slot::empty(),
            wants_close: Cell::new(false),
            end,
        }
    }

    pub(crate) fn base(&self) -> &Rc<base::Inner> {
        &self.base
    }

    /// The native connection, null before it is made and once it is gone.
    pub(super) fn raw(&self) -> *mut ffi::evhttp_connection {
        self.raw.get()
    }

    pub(super) fn set_raw(&self, raw: *mut ffi::evhttp_connection) {
        self.raw.set(raw);
    }

    pub(crate) fn peer(&self) -> &peer::Peer {
        match &self.end {
            End::Server(peer) => peer,
            End::Client(_) => unreachable!("only a server's connections have a peer"),
        }
    }

    /// The native connection, if C may be called with it; a client's may be null.
    fn usable(&self, call: &'static str) -> Result<*mut ffi::evhttp_connection> {
        self.base.usable(call)?;
        let raw = self.raw.get();
        if raw.is_null() && self.client().is_none() {
            return Err(Error::Freed {
                call,
                object: "connection",
            });
        }
        Ok(raw)
    }

    /// After the end: what the close callback had is given back, for the caller to drop.
    pub(crate) fn take_callback(&self) -> Option<Box<CloseCallback>> {
        self.wants_close.set(false);
        self.slot.set(None)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let End::Client(client) = &self.end {
            client.ends(self);
        }
    }
}

impl EventHttpConnection {
    /// The peer's address and port.
    ///
    /// PHP: `EventHttpConnection::getPeer`, whose arguments are never filled.
    /// libevent: `evhttp_connection_get_peer`.
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
    #[doc(
        alias = "EventHttpConnection::getPeer",
        alias = "evhttp_connection_get_peer"
    )]
    pub fn get_peer(&self) -> Result<(String, u16)> {
        let raw = self.0.usable("EventHttpConnection::getPeer")?;
        if let End::Client(client) = &self.0.end {
            return Ok(client.peer());
        }
        let mut address: *mut c_char = ptr::null_mut();
        let mut port = 0;
        // SAFETY: `usable` gives a connection that C has not freed; both are written to.
        unsafe { ffi::evhttp_connection_get_peer(raw, &mut address, &mut port) };
        // SAFETY: the connection's own copy.
        let address = unsafe { headers::text(address) };
        Ok((address.unwrap_or_default(), port))
    }

    /// Sets how long the peer may be silent, in place of what
    /// [`EventHttp::set_timeout`](crate::EventHttp::set_timeout) gave the connection; `None` is
    /// no limit. For a client's connection it also limits the looking up of its name and the
    /// connecting; at first it is 50 seconds there.
    ///
    /// PHP: `EventHttpConnection::setTimeout`, in seconds.
    /// libevent: `evhttp_connection_set_timeout_tv`.
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
    #[doc(
        alias = "EventHttpConnection::setTimeout",
        alias = "evhttp_connection_set_timeout"
    )]
    pub fn set_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        const CALL: &str = "EventHttpConnection::setTimeout";
        self.0.usable(CALL)?;
        peer::checked_timeout(CALL, timeout)?;
        match &self.0.end {
            End::Server(peer) => peer.set_timeout(timeout),
            End::Client(client) => client.set_timeout(&self.0, timeout),
        }
        Ok(())
    }

    /// Has a closure called when the connection has ended, in place of the one before: once, or
    /// for a client's each time.
    ///
    /// It is called in the loop's turn after the end, whatever the end was: the peer went, was
    /// silent for too long, or the server closed; not when the server itself goes. A peer that
    /// goes while its request waits for an answer is noticed from this call on; what only shuts
    /// down its writing side counts as gone then.
    ///
    /// A client's is called before the closure of the request that the end is told by, and not
    /// when the last handle goes, where PHP calls what it has freed.
    ///
    /// PHP: `EventHttpConnection::setCloseCallback`, which misses a peer that goes while its
    /// request waits. libevent: `evhttp_connection_set_closecb`.
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
    #[doc(
        alias = "EventHttpConnection::setCloseCallback",
        alias = "evhttp_connection_set_closecb"
    )]
    pub fn set_close_callback<F>(&self, callback: F) -> Result<()>
    where
        F: FnMut(&EventHttpConnection) + 'static,
    {
        self.0.usable("EventHttpConnection::setCloseCallback")?;
        self.0.wants_close.set(true);
        let former = self.0.slot.set(Some(Box::new(callback)));
        match &self.0.end {
            End::Server(peer) => peer.look_out(&self.0),
            End::Client(_) => {}
        }
        drop(former); // no borrow is held: captured values may run user code
        Ok(())
    }
}

/// The count of [`Inner`] that C holds, as an argument of its callbacks.
pub(super) type Lent = *mut c_void;

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
            .field("raw", &self.0.raw.get())
            .finish_non_exhaustive()
    }
}
