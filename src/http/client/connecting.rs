//! From a host to a connection: the lookup of its name, its addresses one after the other, and
//! retries.
//!
//! Owns, lends to C: nothing of its own. Runs no user code.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::HttpError;
use super::exchange::Connection;
use super::target::Host;
use super::{CALL, ClientConnection, State, with_client};
use crate::address::{begin_connect, with_port};
use crate::dns::Outcome;
use crate::error::{Error, Result};
use crate::flags::{AddressFamily, EventFlags};
use crate::http::connection;
use crate::{Callbacks, Event, EventBase, EventBufferEvent, EventDnsBase, LookupOptions};

impl ClientConnection {
    /// Begins to make a connection. What cannot be begun, with the last address, is an error; a
    /// server that cannot be reached is told from the loop.
    pub(super) fn connect(&self, call: &'static str, conn: &Rc<connection::Inner>) -> Result<()> {
        let address = match &self.target.host {
            Host::Address(address) => (*address).into(),
            Host::Unix(address) => address.clone(),
            Host::Name(dns) => {
                let next = self.addresses.borrow_mut().pop_front();
                let Some(address) = next else {
                    return self.look_up(call, conn, dns);
                };
                address.into()
            }
            Host::Known(peers) => self.next_of(peers).into(),
        };
        let socket = match self.socket(call, &address) {
            Err(error) if !self.addresses.borrow().is_empty() => {
                self.attempt_failed(conn, HttpError::of_attempt(&error));
                return Ok(());
            }
            socket => socket?,
        };
        let bev = self.buffer_event(conn)?;
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

    /// The next of a host's addresses; from the first one on when all were tried. Only those of
    /// the local address's IP version, where that is set.
    fn next_of(&self, peers: &[SocketAddr]) -> SocketAddr {
        let mut waiting = self.addresses.borrow_mut();
        if waiting.is_empty() {
            let local = self.settings.get().local_address;
            let fits =
                |peer: &&SocketAddr| local.is_none_or(|local| local.is_ipv4() == peer.is_ipv4());
            waiting.extend(peers.iter().filter(fits));
        }
        waiting.pop_front().unwrap_or(peers[0])
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
        let bev = self.target.unconnected(&base)?;
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
        let lookup = dns.resolve_as(call, &self.target.address, options, Box::new(callback))?;
        self.state.replace(State::Resolving(lookup));
        Ok(())
    }

    fn looked_up(&self, conn: &Rc<connection::Inner>, outcome: Outcome) {
        drop(self.state.take());
        match outcome {
            Ok(found) => {
                let found = found.into_iter().map(|ip| with_port(ip, self.target.port));
                self.addresses.replace(found.collect());
                self.proceed(conn);
            }
            Err(error) => self.fail_all(&HttpError::NotResolved(error)),
        }
    }

    /// The connection is established.
    pub(super) fn connected(&self, conn: &Rc<connection::Inner>, bev: EventBufferEvent) {
        self.forget_attempts();
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

    /// The next connection is made as the first one: from the first address on, with all retries.
    pub(super) fn forget_attempts(&self) {
        self.expect_nothing();
        self.retries.set(0);
        self.addresses.take();
    }

    fn pause(&self, conn: &Rc<connection::Inner>, time: Duration) -> Result<Event> {
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
