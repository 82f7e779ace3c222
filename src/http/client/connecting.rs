//! From a host to a connection: the lookup of its name, its addresses one after the other, and
//! retries.
//!
//! Owns, lends to C: nothing of its own. Runs no user code.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::HttpError;
use super::exchange::Connection;
use super::{CALL, ClientConnection, Host, State, with_client};
use crate::address::{self, Address, begin_connect, with_port};
use crate::dns::Outcome;
use crate::error::{Error, Result};
#[cfg(feature = "openssl")]
use crate::flags::SslState;
use crate::flags::{AddressFamily, BufferEventOptions, EventFlags};
use crate::http::{connection, headers};
use crate::{
    Callbacks, Event, EventBase, EventBufferEvent, EventDnsBase, LookupOptions, base, runtime,
};

impl Host {
    pub(super) fn checked(
        call: &'static str,
        base: &Rc<base::Inner>,
        dns: Option<&EventDnsBase>,
        address: &str,
        port: u16,
    ) -> Result<Self> {
        let refused = |reason: String| Err(Error::argument(call, reason));
        if address
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("unix:"))
        {
            if port != 0 {
                return refused(format!("{address:?} has no ports: give 0"));
            }
            let path = address.parse::<Address>().map_err(|error| error.of(call))?;
            return match path.for_system() {
                Ok(path) => Ok(Self::Unix(path)),
                Err(error) => refused(format!("{address:?}: {error}")),
            };
        }
        if port == 0 {
            return refused("there is no port 0 to connect to".to_owned());
        }
        match (address::Host::parse_ip(address), dns) {
            (Err(error), _) => Err(error.of(call)),
            (Ok(Some(ip)), _) => Ok(Self::Address(address::with_port(ip, port))),
            (Ok(None), Some(dns)) if dns.is_on(base) => {
                headers::check_line(call, "host name", address.as_bytes())?;
                Ok(Self::Name(dns.clone()))
            }
            (Ok(None), Some(_)) => refused("the DNS base is of another event base".to_owned()),
            (Ok(None), None) => refused(format!(
                "{address:?} is no IP address; give one, or a DNS base for a name"
            )),
        }
    }

    /// The host as `Host` has it, and as the server's certificate must have it: an address
    /// without its zone, which means nothing to anybody else.
    pub(super) fn name(&self, given: &str) -> String {
        match self {
            Self::Address(address) => address.ip().to_string(),
            Self::Name(_) => given.to_owned(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl ClientConnection {
    /// Refuses a local address from which the server cannot be reached.
    pub(super) fn check_local(&self, call: &'static str, local: &SocketAddr) -> Result<()> {
        match &self.host {
            Host::Address(peer) if peer.is_ipv4() != local.is_ipv4() => {
                let (local, peer) = (local.ip(), peer.ip());
                let reason = format!("{local} is of another IP version than {peer}");
                Err(Error::argument(call, reason))
            }
            Host::Unix(_) => Err(Error::argument(call, "a unix socket has no IP address")),
            _ => Ok(()),
        }
    }

    /// Begins to make a connection. What cannot be begun is an error; a server that cannot be
    /// reached is told from the loop.
    pub(super) fn connect(&self, call: &'static str, conn: &Rc<connection::Inner>) -> Result<()> {
        let address = match &self.host {
            Host::Address(address) => (*address).into(),
            Host::Unix(address) => address.clone(),
            Host::Name(dns) => {
                let next = self.addresses.borrow_mut().pop_front();
                let Some(address) = next else {
                    return self.look_up(call, conn, dns);
                };
                address.into()
            }
        };
        let socket = self.socket(call, &address)?;
        let bev = self.buffer_event(conn)?;
        self.generation.set(runtime::generation());
        match begin_connect(&socket, &address) {
            Err(error) => self.attempt_failed(conn, HttpError::NotConnected(error.kind())),
            Ok(()) => {
                bev.take_connecting(call, socket)?;
                self.state.replace(State::Connecting(bev));
                self.expect_a_sign();
            }
        }
        Ok(())
    }

    fn socket(&self, call: &'static str, address: &SockAddr) -> Result<Socket> {
        let io = |error: io::Error| Error::io(call, error);
        let socket = Socket::new(address.domain(), Type::STREAM, None).map_err(io)?;
        socket.set_nonblocking(true).map_err(io)?;
        if address.domain() != Domain::UNIX {
            socket.set_tcp_nodelay(true).map_err(io)?;
        }
        let peer = address.as_socket();
        if let Some(local) = peer.and_then(|peer| self.settings.get().local(peer)) {
            socket.set_reuse_address(true).map_err(io)?;
            socket.bind(&local.into()).map_err(io)?;
        }
        Ok(socket)
    }

    /// A buffer event that is not connected, with the callbacks of this connection.
    fn buffer_event(&self, conn: &Rc<connection::Inner>) -> Result<EventBufferEvent> {
        let base = EventBase::of(conn.base());
        let bev = self.unconnected(&base)?;
        let (read, event) = (Rc::downgrade(conn), Rc::downgrade(conn));
        let callbacks = Callbacks::new()
            .on_read(move |_bev| with_client(&read, Self::readable))
            .on_event(move |_bev, what| {
                let error = io::Error::from(Errno::last());
                with_client(&event, |client, conn| client.happened(conn, what, &error));
            });
        bev.set_callbacks(callbacks)?;
        bev.enable(EventFlags::READ)?;
        Ok(bev)
    }

    fn unconnected(&self, base: &EventBase) -> Result<EventBufferEvent> {
        let options = BufferEventOptions::empty();
        #[cfg(feature = "openssl")]
        if let Some(context) = self.context.get() {
            let bev =
                EventBufferEvent::ssl_unconnected(base, context, SslState::Connecting, options)?;
            bev.set_ssl_host(&self.host.name(&self.address))?;
            return Ok(bev);
        }
        EventBufferEvent::unconnected(base, options)
    }

    fn look_up(
        &self,
        call: &'static str,
        conn: &Rc<connection::Inner>,
        dns: &EventDnsBase,
    ) -> Result<()> {
        let settings = self.settings.get();
        let mut options = LookupOptions {
            family: match settings.local_address {
                Some(SocketAddr::V4(_)) => AddressFamily::INET,
                Some(SocketAddr::V6(_)) => AddressFamily::INET6,
                None => AddressFamily::UNSPEC,
            },
            ..LookupOptions::default()
        };
        options.timeout = settings.silence_max.unwrap_or(options.timeout);
        let weak = Rc::downgrade(conn);
        let callback = move |outcome| {
            with_client(&weak, |client, conn| client.looked_up(conn, outcome));
        };
        let lookup = dns.resolve_as(call, &self.address, options, Box::new(callback))?;
        self.state.replace(State::Resolving(lookup));
        Ok(())
    }

    fn looked_up(&self, conn: &Rc<connection::Inner>, outcome: Outcome) {
        drop(self.state.take());
        match outcome {
            Ok(found) => {
                let found = found.into_iter().map(|ip| with_port(ip, self.port));
                self.addresses.replace(found.collect());
                self.proceed(conn);
            }
            Err(error) => self.fail_all(&HttpError::NotResolved(error)),
        }
    }

    /// The connection stands.
    pub(super) fn connected(&self, conn: &Rc<connection::Inner>, bev: EventBufferEvent) {
        self.expect_nothing();
        self.retries.set(0);
        self.addresses.take();
        self.send(conn, bev, Connection::Fresh);
    }

    /// An attempt has failed: tries the next address, tries again later, or gives up.
    pub(super) fn attempt_failed(&self, conn: &Rc<connection::Inner>, error: HttpError) {
        self.expect_nothing();
        if !self.addresses.borrow().is_empty() {
            self.notes.wake(); // which goes on with the next one
            return;
        }
        let (settings, retry) = (self.settings.get(), self.retries.get());
        let may_retry = settings.retries.is_none_or(|most| retry < most);
        // A certificate that was refused will be refused again.
        if may_retry && matches!(error, HttpError::NotConnected(_)) {
            let pause = self.pause(conn, settings.pause(retry));
            if let Ok(timer) = pause {
                self.retries.set(retry.saturating_add(1));
                self.state.replace(State::Pausing(timer));
                return;
            }
        }
        self.retries.set(0);
        self.fail_all(&error); // as libevent does: there is nobody to send them to
    }

    fn pause(&self, conn: &Rc<connection::Inner>, time: std::time::Duration) -> Result<Event> {
        let weak = Rc::downgrade(conn);
        let timer = Event::timer_on(CALL, conn.base(), move |_timer| {
            with_client(&weak, |client, conn| {
                drop(client.state.take());
                client.proceed(conn);
            });
        })?;
        timer.add(Some(time))?;
        Ok(timer)
    }

    fn fail_all(&self, error: &HttpError) {
        for request in self.queue.take() {
            self.fail(request, error.clone());
        }
    }
}
