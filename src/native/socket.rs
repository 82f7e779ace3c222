//! System calls on sockets that no crate wraps for every option.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;

/// What a socket option is set to.
pub(crate) enum OptionValue {
    Int(c_int),
    Linger(libc::linger),
    Timeout(libc::timeval),
}

impl OptionValue {
    fn bytes(&self) -> (*const c_void, usize) {
        match self {
            Self::Int(number) => (ptr::from_ref(number).cast(), size_of_val(number)),
            Self::Linger(linger) => (ptr::from_ref(linger).cast(), size_of_val(linger)),
            Self::Timeout(time) => (ptr::from_ref(time).cast(), size_of_val(time)),
        }
    }
}

/// Accepts the next connection of a listener, without the peer's address. The descriptor does not
/// block, and is closed on exec.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let (address, length) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the system writes no address where none is asked for.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), address, length, flags) };
    let fd = Errno::result(fd)?;
    // SAFETY: the system has just made the descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option of a socket.
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: c_int,
    option: c_int,
    value: &OptionValue,
) -> io::Result<()> {
    let (bytes, length) = value.bytes();
    let length = length as libc::socklen_t;
    // SAFETY: the system copies `length` bytes, all of `value`, and keeps no pointer.
    let rc = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, bytes, length) };
    Errno::result(rc).map(drop).map_err(io::Error::from)
}
