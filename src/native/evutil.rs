//! libevent's functions around sockets, its version, and random bytes.
//!
//! None of them runs a callback.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::ffi;

/// The version of the libevent that runs.
pub(crate) fn version_number() -> u32 {
    // SAFETY: takes nothing from us, and returns a constant of the library.
    unsafe { ffi::event_get_version_number() }
}

/// Has the system hand over a TCP connection only when it has data.
pub(crate) fn defer_accept(socket: &impl AsFd) -> io::Result<()> {
    let socket = socket.as_fd();
    // SAFETY: only sets an option of a descriptor that `socket` keeps open.
    match unsafe { ffi::evutil_make_tcp_listen_socket_deferred(socket.as_raw_fd()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
