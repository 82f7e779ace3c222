//! The sockets that a server listens on.
//!
//! Owns: [`Listening`] its socket, which closes when libevent has let go of it.
//! Lends C the descriptor. Runs user code: the destructor of a socket that was given.
#![allow(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use socket2::{SockRef, Socket};

use super::{entry, server};
use crate::address::{ListenOptions, named};
use crate::base;
use crate::error::{Error, Result};
use crate::native::evhttp::{Bound, OwnedHttp};

/// A socket that libevent accepts from.
pub(super) struct Listening {
    bound: Bound,
    address: SocketAddr,
    socket: Box<dyn AsFd>,
}

/// Makes a socket that listens on `address`, and says on which it came to be.
pub(super) fn bound(call: &'static str, address: SocketAddr) -> Result<(Socket, SocketAddr)> {
    let options = ListenOptions {
        keepalive: true,
        nodelay: true,
        ..ListenOptions::default()
    };
    let socket = options
        .on(&address.into())
        .map_err(|error| named(call, address, &error))?;
    let local = socket
        .local_addr()
        .map_err(|error| Error::io(call, error))?;
    Ok((socket, local.as_socket().unwrap_or(address)))
}

/// Refuses what libevent could not accept TCP connections from; the descriptor and its address.
pub(super) fn checked(call: &'static str, fd: BorrowedFd<'_>) -> Result<(RawFd, SocketAddr)> {
    let socket = SockRef::from(&fd);
    let refused = |reason: &'static str| Err(Error::argument(call, reason));
    match socket.is_listener() {
        Ok(true) => {}
        Ok(false) => return refused("the socket does not listen; call listen() on it first"),
        Err(_) => return refused("not a socket"),
    }
    let address = socket
        .local_addr()
        .map_err(|error| Error::io(call, error))?;
    let Some(address) = address.as_socket() else {
        return refused(
            "not a TCP socket: libevent would end the process over a client without an IP address",
        );
    };
    socket
        .set_nonblocking(true)
        .map_err(|error| Error::io(call, error))?;
    Ok((fd.as_raw_fd(), address))
}

impl Listening {
    /// Makes libevent accept from `socket`, whose descriptor `fd` is.
    pub(super) fn start(
        call: &'static str,
        base: &Rc<base::Inner>,
        http: &OwnedHttp<server::Inner>,
        (fd, address): (RawFd, SocketAddr),
        socket: Box<dyn AsFd>,
    ) -> Result<Self> {
        // SAFETY: `base` is the server's. `socket` keeps the descriptor open until `end`, or
        // until it is dropped after the server.
        let bound = unsafe { http.bind(call, base.native(), fd, entry::on_accept_failure) }?;
        Ok(Self {
            bound,
            address,
            socket,
        })
    }

    /// Accepts no more, and returns the socket to close.
    pub(super) fn end(self, http: &OwnedHttp<server::Inner>) -> Box<dyn AsFd> {
        http.unbind(self.bound);
        self.socket
    }

    /// Pauses or resumes accepting; returns whether the backend agreed.
    pub(super) fn accept(&self, http: &OwnedHttp<server::Inner>, on: bool) -> bool {
        http.accept(&self.bound, on)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
