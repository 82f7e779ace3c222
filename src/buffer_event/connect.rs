//! Connecting to an address.
//!
//! Owns: nothing; the socket that it makes is the buffer event's. Lends C nothing.
//! Runs no user code: the event callback reports the outcome, in the loop.
#![allow(unsafe_code)]

use std::os::fd::AsFd;
use std::rc::Rc;

use socket2::{SockAddr, SockRef};

use php_event_macros::php;

use super::EventBufferEvent;
use super::inner::Link;
use super::source::Source;
use crate::address::{Address, AddressError, begin_connect, connecting};
use crate::error::{Error, Result};

impl EventBufferEvent {
    /// Connects to an [`Address`] other than a host name: `1.2.3.4:80`, `[::1]:80`,
    /// `[fe80::1%eth0]:80`, `unix:/a/path`.
    ///
    /// Returns at once. The loop then calls the event callback with `CONNECTED`, or with `ERROR`
    /// and the reason as the last socket error. You can write and enable `READ` before that; what
    /// is written is sent once connected. If the buffer event has no socket, it gets one. For
    /// names there is [`connect_host`](Self::connect_host).
    ///
    /// A unix socket without a listener is an error at once; in PHP the event reports it.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name, a missing or impossible port, and a path that is empty
    /// or too long; [`Error::Io`] when the system refuses at once, such as for a path that does
    /// not exist: another address may be tried then; [`Error::State`] when the buffer event was
    /// connected before, was closed, or has no socket of its own; [`Error::Freed`],
    /// [`Error::Forked`].
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
    #[php("EventBufferEvent::connect", c = "bufferevent_socket_connect")]
    pub fn connect(&self, address: &str) -> Result<()> {
        self.may_connect(CALL)?;
        let address = parse(CALL, address)?.for_system();
        self.connect_address(CALL, &address.map_err(|error| Error::io(CALL, error))?)
    }

    /// As [`connect`](Self::connect), to an address that is parsed already.
    pub(crate) fn connect_address(&self, call: &'static str, address: &SockAddr) -> Result<()> {
        self.may_connect(call)?;
        self.start(call, address)?;
        self.0.link.replace(Link::Begun(None)); // it was fresh
        Ok(())
    }

    /// Why [`connect_host`](Self::connect_host) did not find the name; `None` if it did not fail.
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
    #[php(
        "EventBufferEvent::getDnsErrorString",
        php_note = ", which answers an empty text for none",
        c = ["bufferevent_socket_get_dns_error", "evutil_gai_strerror"]
    )]
    pub fn get_dns_error_string(&self) -> Result<Option<String>> {
        self.0.usable(CALL)?;
        let error = match &*self.0.link.borrow() {
            Link::Begun(error) | Link::Closed(error) => *error,
            Link::Fresh | Link::Dialing(_) => None,
        };
        Ok(error.map(|error| error.to_string()))
    }

    pub(super) fn may_connect(&self, call: &'static str) -> Result<()> {
        self.0.usable(call)?;
        let reason = match &*self.0.link.borrow() {
            _ if !self.0.kind().has_socket() => "it has no socket of its own to connect",
            Link::Fresh => return Ok(()),
            Link::Dialing(_) | Link::Begun(_) => "it was connected before; make a new buffer event",
            Link::Closed(_) => "it was closed; make a new buffer event",
        };
        Err(Error::State { call, reason })
    }

    /// Starts to connect; libevent waits for the outcome.
    fn start(&self, call: &'static str, address: &SockAddr) -> Result<()> {
        #[cfg(feature = "openssl")]
        if let Some(address) = address.as_socket() {
            self.name_host(&address.ip().to_string())?;
        }
        let io = |error| Error::io(call, error);
        if let Some(given) = self.0.source() {
            begin_connect(&SockRef::from(&*given), address).map_err(io)?;
        } else {
            let socket = connecting(address).map_err(io)?;
            self.set_socket(call, Source::new(socket))?;
        }
        self.expect_connected(call)
    }

    /// Takes a socket that is connecting. The event callback reports the outcome.
    pub(crate) fn take_connecting(
        &self,
        call: &'static str,
        socket: impl AsFd + 'static,
    ) -> Result<()> {
        self.set_socket(call, Source::new(socket))?;
        self.0.link.replace(Link::Begun(None)); // it was fresh
        self.expect_connected(call)
    }

    /// Makes libevent report when its descriptor, which is connecting, is connected.
    pub(super) fn expect_connected(&self, call: &'static str) -> Result<()> {
        let expects = self.with(call, |view| view.expect_connected(call))?;
        self.settle();
        expects
    }

    /// Gives libevent a descriptor; it has none.
    pub(super) fn set_socket(&self, call: &'static str, socket: Rc<Source>) -> Result<()> {
        let fd = socket.fd();
        self.0.base().watchable(call, fd)?;
        let before = self.0.carrier.borrow_mut().set_source(Some(socket));
        drop(before); // none, or another hold on the same
        let settings = &self.0.settings;
        let (read, write) = (settings.read_timeout.get(), settings.write_timeout.get());
        self.with(call, |view| {
            if write.is_some() {
                view.set_timeouts(call, read, write)?;
            }
            // SAFETY: the carrier holds the socket; libevent lets go of it before `close` and
            // `release` drop it.
            unsafe { view.set_fd(call, Some(fd)) }
        })?
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
