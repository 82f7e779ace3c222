//! How a buffer event gets its peer.
//!
//! Owns: nothing; the socket that it makes is the buffer event's. Lent to C: nothing.
//! Runs no user code: what comes of a connect is told by the event callback, in the loop.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{SockAddr, SockRef};

use super::EventBufferEvent;
use super::inner::Link;
use crate::address::{Address, AddressError, begin_connect, connecting};
use crate::error::{Error, Result};

impl EventBufferEvent {
    /// Connects to an [`Address`] other than a host name: `1.2.3.4:80`, `[::1]:80`,
    /// `[fe80::1%eth0]:80`, `unix:/a/path`.
    ///
    /// Returns at once. The event callback is called in the loop, never in here, with
    /// `CONNECTED`, or with `ERROR` and the error number as the last socket error. What is
    /// written before is sent then; `READ` may be enabled before. A socket is made if the
    /// object has none. Names go to
    /// [`connect_host`](Self::connect_host).
    ///
    /// PHP: `EventBufferEvent::connect`. libevent: `bufferevent_socket_connect`. A unix
    /// socket on which nobody listens is refused at once here, and by the event in PHP.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name, a missing or impossible port, and a path that is empty
    /// or too long; [`Error::Io`] when the system refuses at once, such as a path that is
    /// not there, after which another address may be tried; [`Error::State`] when this
    /// object was connected before, was closed, or has no socket of its own;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{Callbacks, EventBase, EventBufferEvent, BufferEventOptions};
    /// use std::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let base = EventBase::new()?;
    /// let client = EventBufferEvent::unconnected(&base, BufferEventOptions::empty())?;
    /// client.set_callbacks(Callbacks::new().on_event(|bev, what| {
    ///     assert_eq!(what, EventBufferEvent::CONNECTED);
    ///     bev.free();
    /// }))?;
    /// client.connect(&listener.local_addr()?.to_string())?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::connect",
        alias = "bufferevent_socket_connect"
    )]
    pub fn connect(&self, address: &str) -> Result<()> {
        const CALL: &str = "EventBufferEvent::connect";
        self.may_connect(CALL)?;
        let address = parse(CALL, address)?.for_system();
        self.connect_address(CALL, &address.map_err(|error| Error::io(CALL, error))?)
    }

    /// As [`connect`](Self::connect), to an address that is parsed already.
    pub(crate) fn connect_address(&self, call: &'static str, address: &SockAddr) -> Result<()> {
        self.may_connect(call)?;
        self.start(call, address)?;
        self.0.link.set(Link::Begun);
        Ok(())
    }

    /// Why the name given to `connect_host` was not found; `None` when nothing went wrong.
    ///
    /// PHP: `EventBufferEvent::getDnsErrorString`, where an empty text is none.
    /// libevent: `bufferevent_socket_get_dns_error`, `evutil_gai_strerror`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// assert_eq!(bev.get_dns_error_string()?, None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBufferEvent::getDnsErrorString",
        alias = "bufferevent_socket_get_dns_error"
    )]
    pub fn get_dns_error_string(&self) -> Result<Option<String>> {
        self.0.usable("EventBufferEvent::getDnsErrorString")?;
        Ok(self.0.dns_error.borrow().map(|error| error.to_string()))
    }

    pub(super) fn may_connect(&self, call: &'static str) -> Result<()> {
        self.0.usable(call)?;
        let reason = match (self.0.kind, self.0.link.get()) {
            (kind, _) if !kind.has_socket() => "it has no socket of its own to connect",
            (_, Link::Fresh) => return Ok(()),
            (_, Link::Begun) => "it was connected before; make a new buffer event",
            (_, Link::Closed) => "it was closed; make a new buffer event",
        };
        Err(Error::State { call, reason })
    }

    /// Has the system connect, and libevent wait for what comes of it.
    fn start(&self, call: &'static str, address: &SockAddr) -> Result<()> {
        #[cfg(feature = "openssl")]
        if let Some(address) = address.as_socket() {
            self.name_host(&address.ip().to_string())?;
        }
        let io = |error| Error::io(call, error);
        let given = self.fd();
        if let Some(fd) = given {
            // SAFETY: the source has the descriptor, and only `close` and `release` drop it.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            begin_connect(&SockRef::from(&fd), address).map_err(io)?;
        } else {
            let socket = connecting(address).map_err(io)?;
            self.set_socket(call, socket)?;
        }
        self.expect_connected(call)
    }

    /// Takes a socket that is connecting. The event callback tells what comes of it.
    pub(crate) fn take_connecting(
        &self,
        call: &'static str,
        socket: impl AsFd + 'static,
    ) -> Result<()> {
        self.set_socket(call, socket)?;
        self.0.link.set(Link::Begun);
        self.expect_connected(call)
    }

    /// Has libevent tell when its descriptor, which is connecting, is connected.
    pub(super) fn expect_connected(&self, call: &'static str) -> Result<()> {
        let expects = self.with(call, |view| view.expect_connected(call))?;
        self.settle();
        expects
    }

    /// Gives libevent a descriptor, in the place of none.
    pub(super) fn set_socket(&self, call: &'static str, socket: impl AsFd + 'static) -> Result<()> {
        let fd = socket.as_fd().as_raw_fd();
        self.0.base().watchable(call, fd)?;
        let before = self.0.source.replace(Some(Box::new(socket)));
        drop(before); // none, or another hold on the same
        // SAFETY: the source has the descriptor, and only `close` and `release` drop it.
        self.with(call, |view| unsafe { view.set_fd(call, Some(fd)) })?
    }
}

/// Reads an address; nothing is looked up.
fn parse(call: &'static str, text: &str) -> Result<Address> {
    let address = text.parse::<Address>().map_err(|error| error.of(call))?;
    let reason = match address {
        Address::Name { .. } => {
            "it holds a host name; connect_host looks names up, connect takes an IP address"
        }
        _ if address.port() == Some(0) => "it has port 0; give one from 1 to 65535",
        _ => return Ok(address),
    };
    Err(AddressError::new(text, reason).of(call))
}
