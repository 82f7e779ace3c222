//! The entry points of `EventListener`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::{io, ptr};

use nix::errno::Errno;
use socket2::{SockAddr, SockAddrStorage, socklen_t};

use super::{guard, release, upgrade};
use crate::stream::Stream;
use crate::{EventListener, ffi, listener};

thread_local! {
    // Has no destructor: that of another of the thread's variables may run a loop.
    static ASIDE: Cell<Option<Aside>> = const { Cell::new(None) };
}

/// # Safety
/// Registered only by `EventListener`, with an `arg` lent for `listener::Inner`.
pub(crate) unsafe extern "C" fn on_accept(
    _listener: *mut ffi::evconnlistener,
    fd: c_int,
    address: *mut ffi::sockaddr,
    length: c_int,
    arg: *mut c_void,
) {
    // SAFETY: libevent accepted it for this call and leaves it to us; 0 is a number too.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: `listener::Inner::release` has C forget `arg` before it reclaims it.
    let Some(inner) = (unsafe { upgrade::<listener::Inner>(arg) }) else {
        return;
    };
    // SAFETY: the address is in libevent's frame, and of the length that the system gave.
    let peer = unsafe { peer(address, length) };
    let base = Rc::clone(&inner.base);
    let this = EventListener(inner); // may be the last handle: then it goes in `release`
    let panicked = guard(&base, || {
        this.0.works();
        this.0.accept.call(|f| {
            let stream = Stream::accepted(socket, this.0.blocking);
            f(&this, stream, peer);
        });
    });
    if panicked {
        this.disable().ok(); // as PHP, and the burst ends; freed is silent already
    }
    let (number, enabled) = (this.0.fd, Rc::clone(&this.0.enabled));
    release(&base, this);
    if base.is_foreign() && enabled.get() {
        set_aside(number).ok(); // out of descriptors: then the next accept fails by itself
    }
}

/// # Safety
/// Registered only by `EventListener`, with an `arg` lent for `listener::Inner`.
pub(crate) unsafe extern "C" fn on_accept_failure(
    _listener: *mut ffi::evconnlistener,
    arg: *mut c_void,
) {
    let cause = Errno::last(); // before anything here changes it
    put_back();
    // SAFETY: `listener::Inner::release` has C forget `arg` before it reclaims it.
    let Some(inner) = (unsafe { upgrade::<listener::Inner>(arg) }) else {
        return;
    };
    let base = Rc::clone(&inner.base);
    let this = EventListener(inner); // may be the last handle: then it goes in `release`
    let panicked = guard(&base, || {
        this.0.failure.call(|f| {
            cause.set(); // for `EventUtil::get_last_socket_errno`
            f(&this);
        });
    });
    if panicked {
        this.disable().ok(); // as PHP
    }
    release(&base, this);
}

/// A listening socket whose number stands for something else.
#[derive(Clone, Copy)]
struct Aside {
    number: RawFd,
    socket: RawFd, // its present number
}

/// Ends the burst in a child that a callback forked: libevent would go on to take connections
/// that are the parent's, and to disable the listener would deafen the parent's. The next
/// accept finds no socket, and [`on_accept_failure`] undoes this. Nothing runs in between.
fn set_aside(number: RawFd) -> io::Result<()> {
    let other = File::open("/dev/null")?;
    // SAFETY: an enabled listener has its socket, or the base has that, until `re_init`.
    let socket = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
    // SAFETY: the number is the listener's, and stays taken.
    Errno::result(unsafe { libc::dup3(other.as_raw_fd(), number, libc::O_CLOEXEC) })?;
    let socket = socket.into_raw_fd();
    ASIDE.set(Some(Aside { number, socket }));
    Ok(())
}

fn put_back() {
    if let Some(Aside { number, socket }) = ASIDE.take() {
        // SAFETY: `set_aside` left it to us.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: the number becomes again what its owner takes it for.
        unsafe { libc::dup3(socket.as_raw_fd(), number, libc::O_CLOEXEC) };
    }
}

/// The peer's IP address and port; what connects to a unix socket has none.
///
/// # Safety
/// `address` is null, or `length` bytes can be read there.
unsafe fn peer(address: *const ffi::sockaddr, length: c_int) -> Option<SocketAddr> {
    let length = usize::try_from(length).ok()?;
    // SAFETY: the caller's duty.
    let bytes = unsafe { ffi::bytes(address.cast(), length) };
    let mut storage = SockAddrStorage::zeroed();
    let n = bytes.len().min(size_of::<SockAddrStorage>());
    let to = ptr::from_mut(&mut storage).cast();
    // SAFETY: `n` bytes are there on either side, and any bytes are a value of the storage.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, n) };
    // SAFETY: the system wrote the address, and what it did not write is zero.
    let address = unsafe { SockAddr::new(storage, socklen_t::try_from(n).ok()?) };
    address.as_socket()
}
