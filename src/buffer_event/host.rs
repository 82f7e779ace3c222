//! How a buffer event gets a peer that has a name.
//!
//! Owns: [`Dial`], from the name to a connected socket, which goes to the buffer event then.
//! Lent to C: nothing; libevent learns of the socket when it is connected.
//! Runs no user code: what comes of it is told by the event callback, in the loop.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::vec;

use socket2::{SockAddr, SockRef};

use super::EventBufferEvent;
use super::inner::Link;
#[cfg(feature = "openssl")]
use crate::address::Host;
use crate::address::{begin_connect, connecting, with_port};
use crate::dns::Outcome;
use crate::error::{Error, Result};
use crate::flags::{AddressFamily, BufferEventFlags, EventFlags};
use crate::{Event, EventDnsBase, Lookup, LookupOptions, dns};

const CALL: &str = "EventBufferEvent::connectHost";

/// What `connect_host` has under way.
pub(super) struct Dial {
    /// The socket that the buffer event was made with: taken back from libevent meanwhile,
    /// which would write to it.
    given: Option<Rc<dyn AsFd>>,
    /// The addresses that are not tried yet.
    rest: vec::IntoIter<SocketAddr>,
    /// Dropped with this, so that nothing comes of it any more.
    _waits_for: Waits,
}

enum Waits {
    Lookup(#[allow(dead_code, reason = "held, not read")] Lookup),
    Connect(#[allow(dead_code, reason = "held, not read")] Event),
}

impl EventBufferEvent {
    /// Connects to a host by its name or its address, and a port from 1 to 65535.
    ///
    /// Returns at once. The event callback is called in the loop, never in here, and once:
    /// with `CONNECTED`; with `ERROR` when the name was not found, and
    /// [`get_dns_error_string`](Self::get_dns_error_string) says why; or with `ERROR` and the
    /// error number as the last socket error, when none of the host's addresses could be
    /// connected to. They are tried one after the other, each for as long as
    /// [`set_timeouts`](Self::set_timeouts) gives for writing, or as the system takes; the
    /// lookup gets that time, too, or 10 seconds. What is written before is sent when the
    /// connection is there. A socket is made for each address, if the object has none. With TLS
    /// the server must have a certificate for this host, unless another was named.
    ///
    /// PHP: `EventBufferEvent::connectHost`, which tries the first address alone.
    /// libevent: `bufferevent_socket_connect_hostname`. Without a DNS base PHP blocks to look a
    /// name up; here it takes one, and only addresses go without. With a DNS base that has no
    /// name server PHP never hears anything.
    ///
    /// # Errors
    /// [`Error::Argument`] for what can be no host, a name without a DNS base, port 0, a
    /// family other than `UNSPEC`, `INET` and `INET6`, and a DNS base of another event base;
    /// [`Error::State`] when there is no name server to ask, when this object was connected
    /// before or is looking up, was closed, or has no socket of its own to connect; [`Error::Freed`],
    /// [`Error::Forked`].
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
    #[doc(
        alias = "EventBufferEvent::connectHost",
        alias = "bufferevent_socket_connect_hostname"
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
        if let Some(source) = &*self.0.source.borrow()
            && SockRef::from(source).peer_addr().is_ok()
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
                let timeout = self.0.write_timeout.get();
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
        let given = self.take_back()?;
        self.0.dial.replace(Some(Dial {
            given,
            rest: Vec::new().into_iter(),
            _waits_for: Waits::Lookup(lookup),
        }));
        self.0.link.set(Link::Begun);
        Ok(())
    }

    /// Takes the descriptor from libevent, if it has one.
    fn take_back(&self) -> Result<Option<Rc<dyn AsFd>>> {
        let Some(source) = self.0.source.take() else {
            return Ok(None);
        };
        let source: Rc<dyn AsFd> = Rc::new(source);
        self.0.source.replace(Some(Box::new(Rc::clone(&source))));
        // SAFETY: takes the descriptor away.
        let taken = self.with(CALL, |view| unsafe { view.set_fd(CALL, None) })?;
        self.settle();
        taken?;
        Ok(Some(source))
    }

    /// The lookup is over.
    fn found(&self, outcome: Outcome, port: u16) {
        let Some(dial) = self.0.dial.take() else {
            return;
        };
        match outcome {
            Ok(addresses) => {
                let addresses = addresses.into_iter().map(|ip| with_port(ip, port));
                self.dial(dial.given, addresses.collect::<Vec<_>>().into_iter(), 0);
            }
            Err(error) => {
                self.0.dns_error.replace(Some(error));
                self.0.happen_later(BufferEventFlags::ERROR, 0);
            }
        }
    }

    /// Connects to the first address that does not refuse at once; `errno` is why the one
    /// before it did.
    fn dial(
        &self,
        given: Option<Rc<dyn AsFd>>,
        mut rest: vec::IntoIter<SocketAddr>,
        mut errno: i32,
    ) {
        while let Some(address) = rest.next() {
            match self.attempt(given.as_ref(), &address.into(), errno != 0) {
                Ok(event) => {
                    self.0.dial.replace(Some(Dial {
                        given,
                        rest,
                        _waits_for: Waits::Connect(event),
                    }));
                    return;
                }
                Err(error) => errno = error.raw_os_error().unwrap_or(libc::EIO),
            }
        }
        self.0.happen_later(BufferEventFlags::ERROR, errno);
    }

    /// Begins to connect, `again` if an attempt came to nothing; the event tells what comes of
    /// it.
    fn attempt(
        &self,
        given: Option<&Rc<dyn AsFd>>,
        address: &SockAddr,
        again: bool,
    ) -> io::Result<Event> {
        let source = match given {
            Some(given) => {
                if again {
                    forget_attempt(given.as_fd());
                }
                begin_connect(&SockRef::from(given), address)?;
                Rc::clone(given)
            }
            None => Rc::new(connecting(address)?),
        };
        let weak = Rc::downgrade(&self.0);
        let tried = move |source: &Rc<dyn AsFd>, what: EventFlags| {
            if let Some(inner) = weak.upgrade() {
                Self(inner).tried(source, what);
            }
        };
        let base = self.0.base();
        let event = Event::source_on(CALL, &base, source, EventFlags::WRITE, tried)?;
        event.add(self.0.write_timeout.get())?;
        Ok(event)
    }

    /// An attempt has come to its end.
    fn tried(&self, source: &Rc<dyn AsFd>, what: EventFlags) {
        let Some(dial) = self.0.dial.take() else {
            return;
        };
        let error = if what.contains(EventFlags::WRITE) {
            SockRef::from(source).take_error().unwrap_or_else(Some)
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

/// Has a socket forget the address that it did not get through to; otherwise the system
/// refuses the next one.
fn forget_attempt(socket: BorrowedFd<'_>) {
    let nowhere = libc::sockaddr {
        sa_family: libc::AF_UNSPEC as libc::sa_family_t,
        sa_data: [0; 14],
    };
    let length = size_of_val(&nowhere) as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, and the system reads `length` bytes of the address.
    unsafe { libc::connect(socket.as_raw_fd(), &nowhere, length) };
}
