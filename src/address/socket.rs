//! How sockets are made: one builder for those that listen, one for those that connect.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::host::needs_zone;
use crate::native::evutil;

/// A backlog of libevent's size.
const BACKLOG: i32 = 128;

/// How a listening socket is made. It does not block and is closed on exec.
#[derive(Clone, Debug)]
pub(crate) struct ListenOptions {
    /// How many connections wait to be accepted.
    pub(crate) backlog: i32,
    /// Whether a port may be bound while connections of its former owner linger.
    pub(crate) reuse_address: bool,
    /// Whether several sockets share the port, each with a part of its connections.
    pub(crate) reuse_port: bool,
    /// Whether an IPv6 socket refuses IPv4; `None` leaves the system's default.
    pub(crate) only_v6: Option<bool>,
    /// Whether accepted connections send small writes at once.
    pub(crate) nodelay: bool,
    /// Whether the system probes silent accepted connections.
    pub(crate) keepalive: bool,
    /// Whether a connection is accepted only when it has data.
    pub(crate) deferred: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: BACKLOG,
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            nodelay: false,
            keepalive: false,
            deferred: false,
        }
    }
}

impl ListenOptions {
    /// The backlog for a number; a negative one means libevent's.
    pub(crate) fn backlog(number: i32) -> i32 {
        if number < 0 { BACKLOG } else { number }
    }

    /// Makes a socket, binds it and listens.
    pub(crate) fn on(&self, address: &SockAddr) -> io::Result<Socket> {
        let socket = stream_socket(address.domain())?;
        if self.keepalive {
            socket.set_keepalive(true)?;
        }
        if !address.is_unix() {
            socket.set_reuse_address(self.reuse_address)?;
            socket.set_reuse_port(self.reuse_port)?;
            socket.set_tcp_nodelay(self.nodelay)?; // accepted connections inherit it
        }
        if let (Domain::IPV6, Some(only)) = (address.domain(), self.only_v6) {
            socket.set_only_v6(only)?;
        }
        if self.deferred {
            evutil::defer_accept(&socket)?;
        }
        socket
            .bind(address)
            .map_err(|error| explain(address, error))?;
        socket.listen(self.backlog)?;
        Ok(socket)
    }
}

/// Makes a stream socket that does not block and is closed on exec.
fn stream_socket(domain: Domain) -> io::Result<Socket> {
    Socket::new(domain, Type::STREAM.nonblocking(), None)
}

/// Makes a socket and begins to connect it. It is writable when that has ended.
pub(crate) fn connecting(address: &SockAddr) -> io::Result<Socket> {
    let socket = stream_socket(address.domain())?;
    begin_connect(&socket, address)?;
    Ok(socket)
}

/// Makes a socket and waits until it is connected, no longer than `timeout`. It does not block
/// afterwards.
pub(crate) fn connect(address: &SockAddr, timeout: Duration) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, None)?;
    let connected = if address.is_unix() {
        connect_unix(&socket, address, timeout)
    } else {
        socket.connect_timeout(address, timeout)
    };
    connected.map_err(|error| explain(address, error))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// With a full backlog, a unix socket that does not block is refused at once. One that blocks
/// waits for room, as long as a write may.
fn connect_unix(socket: &Socket, to: &SockAddr, timeout: Duration) -> io::Result<()> {
    socket.set_write_timeout(Some(timeout))?;
    loop {
        match socket.connect(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            result => return result,
        }
    }
}

/// Begins to connect a socket that does not block.
pub(crate) fn begin_connect(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR)) => {
            Ok(())
        }
        result => result.map_err(|error| explain(address, error)),
    }
}

/// Says what a link-local address lacks; the system only says that it is invalid.
fn explain(address: &SockAddr, error: io::Error) -> io::Error {
    match address.as_socket() {
        Some(SocketAddr::V6(address))
            if needs_zone(*address.ip())
                && address.scope_id() == 0
                && error.raw_os_error() == Some(libc::EINVAL) =>
        {
            let reason = "a link-local address needs its interface, as in fe80::1%eth0";
            io::Error::new(io::ErrorKind::InvalidInput, reason)
        }
        _ => error,
    }
}
