//! The sockets that a server listens on.
//!
//! Owns: [`Listening`] its socket, which closes when libevent has let go of it.
//! Lent to C: the descriptor. Runs user code: the destructor of a socket that was given.
#![allow(unsafe_code)]

use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use socket2::{SockRef, Socket};

use crate::address::{ListenOptions, named};
use crate::error::{Error, Result, cvt, cvt_p};
use crate::{base, ffi, trampoline};

/// A socket that libevent accepts from.
pub(super) struct Listening {
    bound: *mut ffi::evhttp_bound_socket,
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

/// Refuses what libevent could not accept TCP connections from.
pub(super) fn checked(call: &'static str, socket: BorrowedFd<'_>) -> Result<()> {
    let socket = SockRef::from(&socket);
    let refused = |reason: &'static str| Err(Error::argument(call, reason));
    match socket.is_listener() {
        Ok(true) => {}
        Ok(false) => return refused("the socket does not listen; call listen() on it first"),
        Err(_) => return refused("not a socket"),
    }
    let address = socket
        .local_addr()
        .map_err(|error| Error::io(call, error))?;
    if address.as_socket().is_none() {
        return refused(
            "not a TCP socket: libevent ends the process over what else could call itself a client",
        );
    }
    socket
        .set_nonblocking(true)
        .map_err(|error| Error::io(call, error))
}

impl Listening {
    /// Has libevent accept from `socket`.
    ///
    /// # Safety
    /// `http` is a server of `base` that is not freed, and the result is [`end`](Self::end)ed,
    /// or dropped, after libevent has freed the server's sockets.
    pub(super) unsafe fn start(
        call: &'static str,
        base: &base::Inner,
        http: *mut ffi::evhttp,
        socket: Box<dyn AsFd>,
    ) -> Result<Self> {
        let fd = socket.as_fd().as_raw_fd();
        base.watchable(call, fd)?;
        // Not to be closed by libevent: `socket` is. Its callback is set below.
        let flags = ffi::LEV_OPT_CLOSE_ON_EXEC;
        // SAFETY: the caller's `base` lives, and `socket` keeps the descriptor open.
        let listener =
            unsafe { ffi::evconnlistener_new(base.raw(), None, ptr::null_mut(), flags, 0, fd) };
        let listener = cvt_p(call, listener)?;
        // SAFETY: the listener was made above; `http` is the caller's.
        let bound = unsafe { ffi::evhttp_bind_listener(http, listener) };
        let bound = cvt_p(call, bound).inspect_err(|_| {
            // SAFETY: nobody but us has the listener.
            unsafe { ffi::evconnlistener_free(listener) };
        })?;
        // SAFETY: as above; `on_accept_error` takes what `evhttp_bind_listener` sets.
        unsafe {
            ffi::evconnlistener_set_error_cb(listener, Some(trampoline::on_accept_error));
        }
        // SAFETY: as above. It is on already, or could not be put on.
        let rc = unsafe { ffi::evconnlistener_enable(listener) };
        let started = Self { bound, socket };
        match cvt(call, rc) {
            Ok(_) => Ok(started),
            Err(error) => {
                // SAFETY: `http` is the caller's.
                drop(unsafe { started.end(http) });
                Err(error)
            }
        }
    }

    /// Accepts no more, and gives back the socket to close.
    ///
    /// # Safety
    /// `http` is what [`start`](Self::start) was given, and is not freed.
    pub(super) unsafe fn end(self, http: *mut ffi::evhttp) -> Box<dyn AsFd> {
        // SAFETY: the caller's duty; `self` is used up.
        unsafe { ffi::evhttp_del_accept_socket(http, self.bound) };
        self.socket
    }

    /// Pauses, or goes on.
    ///
    /// # Safety
    /// The server that [`start`](Self::start) was given is not freed.
    pub(super) unsafe fn accept(&self, on: bool) {
        // SAFETY: the caller's duty.
        let listener = unsafe { ffi::evhttp_bound_socket_get_listener(self.bound) };
        if on {
            // SAFETY: as above.
            unsafe { ffi::evconnlistener_enable(listener) };
        } else {
            // SAFETY: as above.
            unsafe { ffi::evconnlistener_disable(listener) };
        }
    }

    pub(super) fn address(&self) -> Option<SocketAddr> {
        let socket = self.socket.as_fd();
        SockRef::from(&socket).local_addr().ok()?.as_socket()
    }
}
