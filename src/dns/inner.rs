//! What the handles of a DNS base share, and how it ends.
//!
//! Owns: servers, settings and names of hosts; an event that keeps the loop running.
//! Lent to C: nothing of its own. Runs no user code.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::ptr;
use std::rc::{Rc, Weak};

use nix::errno::Errno;
use socket2::{Domain, Socket, Type};

use super::error::DnsError;
use super::hosts::Hosts;
use super::lookup::Pending;
use super::option::Settings;
use super::query::Queue;
use super::servers::Servers;
use crate::address::begin_connect;
use crate::error::{Error, Result};
use crate::{Event, MAX_TIMEOUT, base};

/// Whether a DNS base with servers keeps the loop running.
pub(super) enum KeepAlive {
    /// Never: it was made with `DISABLE_WHEN_INACTIVE`.
    Off,
    /// As soon as there is a server.
    WithServers,
    /// It does, by this timer.
    On(#[allow(dead_code, reason = "held, not read")] Event),
}

pub(crate) struct Inner {
    pub(super) base: Rc<base::Inner>,
    pub(super) servers: RefCell<Servers>,
    pub(super) settings: RefCell<Settings>,
    pub(super) domains: RefCell<Vec<String>>, // the search list, the first one tried first
    pub(super) hosts: RefCell<Hosts>,
    pub(super) queue: RefCell<Queue>,
    lookups: RefCell<HashMap<usize, Weak<Pending>>>, // that ask servers, by address
    keep_alive: RefCell<KeepAlive>,
    closed: Cell<bool>, // in a child that was forked
}

impl Inner {
    pub(super) fn new(base: &Rc<base::Inner>, keep_alive: KeepAlive) -> Self {
        Self {
            base: Rc::clone(base),
            servers: RefCell::default(),
            settings: RefCell::default(),
            domains: RefCell::default(),
            hosts: RefCell::default(),
            queue: RefCell::default(),
            lookups: RefCell::default(),
            keep_alive: RefCell::new(keep_alive),
            closed: Cell::new(false),
        }
    }

    /// Whether this process may ask servers.
    pub(super) fn is_open(&self) -> bool {
        !self.closed.get() && !self.base.is_foreign()
    }

    /// Refuses a call in a process that may not make it.
    pub(super) fn usable(&self, call: &'static str) -> Result<()> {
        self.base.usable(call)?;
        if self.is_open() {
            return Ok(());
        }
        let reason = "the DNS base is the parent process's; make a new one in this child";
        Err(Error::State { call, reason })
    }

    pub(super) fn count_servers(&self) -> usize {
        if self.closed.get() {
            0
        } else {
            self.servers.borrow().len()
        }
    }

    /// Adds a server that this host can send to.
    pub(super) fn add_server(&self, call: &'static str, address: SocketAddr) -> Result<()> {
        let tried = self.socket(&self.settings.borrow(), address, Type::DGRAM);
        tried.map_err(|error| crate::address::named(call, address, &error))?;
        self.servers.borrow_mut().add(address);
        let mut keep_alive = self.keep_alive.borrow_mut();
        if let KeepAlive::WithServers = *keep_alive {
            let timer = Event::timer_on(call, &self.base, |timer| {
                timer.add(Some(MAX_TIMEOUT)).ok(); // it fails only where no loop runs
            })?;
            timer.add(Some(MAX_TIMEOUT))?;
            *keep_alive = KeepAlive::On(timer);
        }
        Ok(())
    }

    /// Makes a socket to a server. Its port is one that the system chooses at random.
    pub(super) fn socket(
        &self,
        settings: &Settings,
        server: SocketAddr,
        kind: Type,
    ) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(server), kind.nonblocking(), None)?;
        if self.base.watchable("", socket.as_raw_fd()).is_err() {
            return Err(Errno::EMFILE.into()); // select has no descriptor for it
        }
        if let Some(source) = settings.source_for(server) {
            socket.bind(&source.into())?;
        }
        if settings.receive_buffer > 0 {
            socket.set_recv_buffer_size(settings.receive_buffer)?;
        }
        if settings.send_buffer > 0 {
            socket.set_send_buffer_size(settings.send_buffer)?;
        }
        begin_connect(&socket, &server.into())?;
        Ok(socket)
    }

    /// Notes a lookup that asks servers.
    pub(super) fn register(&self, lookup: &Rc<Pending>) {
        let key = Rc::as_ptr(lookup).addr();
        self.lookups.borrow_mut().insert(key, Rc::downgrade(lookup));
    }

    pub(super) fn unregister(&self, lookup: &Pending) {
        let key = ptr::from_ref(lookup).addr();
        self.lookups.borrow_mut().remove(&key);
    }

    /// Ends every lookup that asks servers.
    fn close(&self) {
        self.closed.set(true);
        self.keep_alive.replace(KeepAlive::Off);
        for lookup in self.lookups.take().into_values() {
            if let Some(lookup) = lookup.upgrade() {
                lookup.conclude(Err(DnsError::Shutdown));
            }
        }
    }
}

impl base::Inherited for Inner {
    fn disown(&self) {
        self.close();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
