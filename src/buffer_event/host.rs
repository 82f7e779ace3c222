//! Connecting to a host by its name.
//!
//! Owns: [`Dial`], from the name to a connected socket, which the buffer event gets then.
//! Lends C nothing: libevent gets the socket when it is connected.
//! Runs no user code: the event callback reports the outcome, in the loop.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::vec;

use socket2::{SockAddr, SockRef};

use php_event_macros::php;

use super::EventBufferEvent;
use super::inner::Link;
use super::source::Source;
#[cfg(feature = "openssl")]
use crate::address::Host;
use crate::address::{begin_connect, connecting, with_port};
use crate::dns::Outcome;
use crate::error::{Error, Result};
use crate::flags::{AddressFamily, BufferEventFlags, EventFlags};
use crate::{Event, EventDnsBase, Lookup, LookupOptions, dns};

const CALL: &str = "EventBufferEvent::connectHost";

/// An attempt of `connect_host` that is under way.
pub(super) struct Dial {
    /// The socket that the buffer event was made with. libevent has given it back, because it
    /// would write to it.
    given: Option<Rc<Source>>,
    /// The addresses that were not tried yet.
    rest: vec::IntoIter<SocketAddr>,
    /// Ends with this.
    _waits_for: Waits,
}

enum Waits {
    Lookup(#[allow(dead_code, reason = "held, not read")] Lookup),
    Connect(#[allow(dead_code, reason = "held, not read")] Event),
}

impl EventBufferEvent {
    /// Connects to a host by its name or IP address, and a port from 1 to 65535.
    ///
    /// Returns at once. The loop then calls the event callback once: with `CONNECTED`; with
    /// `ERROR` when the name was not found, for a reason that
    /// [`get_dns_error_string`](Self::get_dns_error_string) tells; or with `ERROR` and the reason
    /// as the last socket error, when none of the host's addresses could be reached. The
    /// addresses are tried one after the other, each for the write timeout of
    /// [`set_timeouts`](Self::set_timeouts) or as long as the system takes. The lookup takes at
    /// most the same timeout, or 10 seconds. What is written before is sent once connected. If
    /// the buffer event has no socket, it gets one for each address. With TLS the server must have
    /// a certificate for this host, unless [`set_ssl_host`](Self::set_ssl_host) named another.
    ///
    /// Here a name needs a DNS base.
    ///
    /// # Errors
    /// [`Error::Argument`] for text that can be no host, a name without a DNS base, port 0, a
    /// family other than `UNSPEC`, `INET` and `INET6`, and a DNS base of another event base;
    /// [`Error::State`] without a name server to ask, and when the buffer event was connected
    /// before, is looking up, was closed, or has no socket of its own to connect;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{AddressFamily, BufferEventOptions, Callbacks, EventBase, EventBufferEvent};
    /// use php_event::EventDnsBase;
    ///
    /// # let directory = tempfile::tempdir()?;
    /// # let hosts = directory.path().join("hosts");
    /// # std::fs::write(&hosts, "127.0.0.1 server.test\n")?;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let base = EventBase::new()?;
    /// let dns = EventDnsBase::new(&base, EventDnsBase::DISABLE_WHEN_INACTIVE)?;
    /// dns.load_hosts(hosts)?;
    /// let client = EventBufferEvent::unconnected(&base, BufferEventOptions::empty())?;
    /// client.set_callbacks(Callbacks::new().on_event(|bev, what| {
    ///     assert_eq!(what, EventBufferEvent::CONNECTED);
    ///     bev.free();
    /// }))?;
    /// let port = listener.local_addr()?.port();
    /// client.connect_host(Some(&dns), "server.test", port, AddressFamily::UNSPEC)?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventBufferEvent::connectHost",
        php_note = ", which tries only the first address, blocks to look a name up without a DNS base, and reports nothing if the DNS base has no name server",
        c = "bufferevent_socket_connect_hostname"
    )]
    pub fn connect_host(
        &self,
        dns: Option<&EventDnsBase>,
        hostname: &str,
        port: u16,
        family: AddressFamily,
    ) -> Result<()> {
        self.may_connect(CALL)?;
        if port == 0 {
            return Err(Error::argument(
                CALL,
                "port 0 given; give one from 1 to 65535",
            ));
        }
        if let Some(source) = self.0.source()
            && SockRef::from(&*source).peer_addr().is_ok()
        {
            let reason = "its socket is connected already";
            return Err(Error::State { call: CALL, reason });
        }
        #[cfg(feature = "openssl")]
        match Host::parse_ip(hostname) {
            Ok(Some(ip)) => self.name_host(&ip.ip().to_string())?, // no zone, no brackets
            _ => self.name_host(hostname)?,
        }
        let weak = Rc::downgrade(&self.0);
        let found = Box::new(move |outcome| {
            if let Some(inner) = weak.upgrade() {
                Self(inner).found(outcome, port);
            }
        });
        let base = self.0.base();
        let lookup = match dns {
            None => dns::resolve_address(CALL, &base, hostname, family, found)?,
            Some(dns) if dns.is_on(&base) => {
                let timeout = self.0.settings.write_timeout.get();
                let mut options = LookupOptions::new().family(family);
                options.timeout = timeout.unwrap_or(options.timeout);
                dns.resolve_as(CALL, hostname, options, found)?
            }
            Some(_) => {
                return Err(Error::argument(
                    CALL,
                    "the DNS base is of another event base",
                ));
            }
        };
        self.stop_write_time()?;
        let dial = Dial {
            given: self.take_back()?,
            rest: Vec::new().into_iter(),
            _waits_for: Waits::Lookup(lookup),
        };
        self.0.link.replace(Link::Dialing(dial)); // it was fresh
        Ok(())
    }

    /// Takes the write timeout from libevent, which would count it before there is a socket.
    fn stop_write_time(&self) -> Result<()> {
        let settings = &self.0.settings;
        let (read, write) = (settings.read_timeout.get(), settings.write_timeout.get());
        self.with(CALL, |view| {
            view.replace_timeouts(CALL, (read, write), (read, None))
        })?
    }

    /// Takes the descriptor from libevent, if it has one.
    fn take_back(&self) -> Result<Option<Rc<Source>>> {
        let source = self.0.source();
        if source.is_some() {
            // SAFETY: takes the descriptor away.
            let taken = self.with(CALL, |view| unsafe { view.set_fd(CALL, None) })?;
            self.settle();
            taken?;
        }
        Ok(source)
    }

    /// Takes the attempt that is under way.
    pub(super) fn take_dial(&self) -> Option<Dial> {
        let mut link = self.0.link.borrow_mut();
        match std::mem::replace(&mut *link, Link::Begun(None)) {
            Link::Dialing(dial) => Some(dial),
            other => {
                *link = other;
                None
            }
        }
    }

    /// The lookup is over.
    fn found(&self, outcome: Outcome, port: u16) {
        let Some(dial) = self.take_dial() else {
            return;
        };
        match outcome {
            Ok(addresses) => {
                let addresses = addresses.into_iter().map(|ip| with_port(ip, port));
                self.dial(dial.given, addresses.collect::<Vec<_>>().into_iter(), 0);
            }
            Err(error) => {
                self.0.link.replace(Link::Begun(Some(error))); // nothing is under way
                self.0.happen_later(BufferEventFlags::ERROR, 0);
            }
        }
    }

    /// Connects to the first address that does not refuse at once; `errno` is why the one
    /// before it did.
    fn dial(&self, given: Option<Rc<Source>>, mut rest: vec::IntoIter<SocketAddr>, mut errno: i32) {
        while let Some(address) = rest.next() {
            match self.attempt(given.as_ref(), &address.into(), errno != 0) {
                Ok(event) => {
                    let waits = Waits::Connect(event);
                    let dial = Dial {
                        given,
                        rest,
                        _waits_for: waits,
                    };
                    self.0.link.replace(Link::Dialing(dial)); // nothing was under way
                    return;
                }
                Err(error) => errno = error.raw_os_error().unwrap_or(libc::EIO),
            }
        }
        self.0.happen_later(BufferEventFlags::ERROR, errno);
    }

    /// Starts to connect, `again` after an attempt that failed. The event reports the outcome.
    fn attempt(
        &self,
        given: Option<&Rc<Source>>,
        address: &SockAddr,
        again: bool,
    ) -> io::Result<Event> {
        let source = match given {
            Some(given) => {
                if again {
                    forget_attempt(given.as_fd());
                }
                begin_connect(&SockRef::from(&**given), address)?;
                Rc::clone(given)
            }
            None => Source::new(connecting(address)?),
        };
        let weak = Rc::downgrade(&self.0);
        let tried = move |source: &Rc<Source>, what: EventFlags| {
            if let Some(inner) = weak.upgrade() {
                Self(inner).tried(source, what);
            }
        };
        let base = self.0.base();
        let event = Event::source_on(CALL, &base, source, EventFlags::WRITE, tried)?;
        event.add(self.0.settings.write_timeout.get())?;
        Ok(event)
    }

    /// An attempt has ended.
    fn tried(&self, source: &Rc<Source>, what: EventFlags) {
        let Some(dial) = self.take_dial() else {
            return;
        };
        let error = if what.contains(EventFlags::WRITE) {
            SockRef::from(&**source).take_error().unwrap_or_else(Some)
        } else {
            Some(io::Error::from_raw_os_error(libc::ETIMEDOUT))
        };
        if let Some(error) = error {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            return self.dial(dial.given, dial.rest, errno);
        }
        let socket = Rc::clone(source);
        let told = self
            .set_socket(CALL, socket)
            .and_then(|()| self.expect_connected(CALL));
        if told.is_err() {
            self.0.happen_later(BufferEventFlags::ERROR, libc::EIO);
        }
    }
}

/// Makes a socket forget the address that it could not reach; otherwise the system refuses the
/// next one.
fn forget_attempt(socket: BorrowedFd<'_>) {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    let length = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, and the system reads `length` bytes of the address.
    unsafe { libc::connect(socket.as_raw_fd(), &nowhere, length) };
}
