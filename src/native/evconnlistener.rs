//! Every call on an `evconnlistener`.
//!
//! Owns: the listener. Lends C the weak count that its two callbacks get, until the listener is
//! freed. No call here runs a callback: libevent calls back from the loop only.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use nix::errno::Errno;
use socket2::{SockAddr, SockAddrStorage, socklen_t};

use super::OwnedBase;
use crate::ffi;
use crate::flags::ListenerFlags;
use crate::runtime::Lent;
use crate::runtime::error::{Result, cvt, cvt_owned};

/// The C function that takes an accepted connection.
pub(crate) type OnAccept =
    unsafe extern "C" fn(*mut ffi::evconnlistener, c_int, *mut ffi::sockaddr, c_int, *mut c_void);

/// The C function that is called when accepting fails.
pub(crate) type OnFailure = unsafe extern "C" fn(*mut ffi::evconnlistener, *mut c_void);

/// An `evconnlistener` whose callbacks get a weak count of a `T`; both end with this.
pub(crate) struct OwnedListener<T> {
    raw: NonNull<ffi::evconnlistener>,
    _lent: Lent<T>, // dropped after `drop` has freed the listener
}

impl<T> OwnedListener<T> {
    /// Makes a listener that is not enabled, on a socket that listens. Connections that it
    /// accepts do not block and are closed on exec.
    ///
    /// # Safety
    /// `base` is dropped after this. `accept` and `failure` take their argument for a lent `T`.
    /// `fd` stays the same open socket until this is dropped.
    pub(crate) unsafe fn new(
        call: &'static str,
        base: &OwnedBase,
        fd: RawFd,
        accept: OnAccept,
        failure: OnFailure,
        lent: Lent<T>,
    ) -> Result<Self> {
        // Not enabled, since libevent would not report a descriptor that the backend refuses.
        let flags = (ListenerFlags::CLOSE_ON_EXEC | ListenerFlags::DISABLED).bits();
        let (base, arg, listens_already) = (base.raw(), lent.arg(), 0);
        // SAFETY: `base` outlives the listener and `fd` is its socket, as `# Safety` asks;
        // `accept` may be called with `arg` until `drop` has freed the listener.
        let raw =
            unsafe { ffi::evconnlistener_new(base, Some(accept), arg, flags, listens_already, fd) };
        let raw = cvt_owned(call, raw)?;
        // SAFETY: made above; `failure` takes the same `arg`.
        unsafe { ffi::evconnlistener_set_error_cb(raw.as_ptr(), Some(failure)) };
        Ok(Self { raw, _lent: lent })
    }

    pub(crate) fn enable(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the listener.
        let rc = unsafe { ffi::evconnlistener_enable(self.raw.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    pub(crate) fn disable(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the listener.
        let rc = unsafe { ffi::evconnlistener_disable(self.raw.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    /// For `Debug`.
    pub(crate) fn raw(&self) -> NonNull<ffi::evconnlistener> {
        self.raw
    }

    /// The listening socket.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        // SAFETY: `self` owns the listener.
        let fd = unsafe { ffi::evconnlistener_get_fd(self.raw.as_ptr()) };
        // SAFETY: `new` asks that the socket stays open until `self` is dropped.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}

impl<T> Drop for OwnedListener<T> {
    fn drop(&mut self) {
        // A free inside the accept callback deletes the event only when that callback has
        // returned. By then the number of the socket may belong to another one.
        // SAFETY: `self` owns the listener.
        unsafe { ffi::evconnlistener_disable(self.raw.as_ptr()) };
        // SAFETY: made by `evconnlistener_new`, freed only here. While one of its callbacks
        // runs, libevent keeps the listener until that has returned.
        unsafe { ffi::evconnlistener_free(self.raw.as_ptr()) };
    }
}

/// The connection that libevent accepted, for the callback that it is passed to.
///
/// # Safety
/// `fd` is the descriptor that libevent has just passed to an accept callback.
pub(crate) unsafe fn accepted(fd: c_int) -> OwnedFd {
    // SAFETY: libevent accepted `fd` for this callback, as `# Safety` asks, and leaves it to the
    // callback to close.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// The peer's IP address and port. A peer on a unix socket has none.
///
/// # Safety
/// `address` is null, or `length` bytes can be read there.
pub(crate) unsafe fn peer(address: *const ffi::sockaddr, length: c_int) -> Option<SocketAddr> {
    let length = usize::try_from(length).ok()?;
    // SAFETY: `# Safety` asks for `length` readable bytes; `bytes` ends with this function, and
    // so does the callback whose frame holds them later.
    let bytes = unsafe { ffi::bytes(address.cast(), length) };
    let mut storage = SockAddrStorage::zeroed();
    let n = bytes.len().min(size_of::<SockAddrStorage>());
    let to = ptr::from_mut(&mut storage).cast();
    // SAFETY: both sides have `n` bytes, and any bytes are a valid `SockAddrStorage`.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, n) };
    // SAFETY: the system wrote the first `n` bytes of the address, and the others are zero.
    let address = unsafe { SockAddr::new(storage, socklen_t::try_from(n).ok()?) };
    address.as_socket()
}

thread_local! {
    // Has no destructor: that of another of the thread's variables may run a loop.
    static ASIDE: Cell<Option<Aside>> = const { Cell::new(None) };
}

/// A listening socket whose number refers to something else.
#[derive(Clone, Copy)]
struct Aside {
    number: RawFd,
    socket: RawFd, // its present number
}

/// Ends a burst of accepts in a child that a callback forked. libevent would otherwise take
/// connections that belong to the parent, and disabling the listener would disable it in the
/// parent. Here the next accept finds no socket and fails; then the failure callback calls
/// [`put_back`]. Nothing runs in between.
///
/// # Safety
/// `number` is the open socket of a listener, and stays open until `put_back`.
pub(crate) unsafe fn set_aside(number: RawFd) -> io::Result<()> {
    let other = File::open("/dev/null")?;
    // SAFETY: `# Safety` asks that the number is open.
    let socket = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
    // SAFETY: replaces what the number stands for; its owner learns nothing of it, since
    // `put_back` undoes it before anything else runs.
    Errno::result(unsafe { libc::dup3(other.as_raw_fd(), number, libc::O_CLOEXEC) })?;
    let socket = socket.into_raw_fd();
    ASIDE.set(Some(Aside { number, socket }));
    Ok(())
}

/// Undoes [`set_aside`], if it was called. Keeps `errno`.
pub(crate) fn put_back() {
    if let Some(Aside { number, socket }) = ASIDE.take() {
        let errno = Errno::last();
        // SAFETY: `set_aside` gave up this descriptor, and `take` returns it once.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        // SAFETY: the number stands again for the socket that its owner expects.
        unsafe { libc::dup3(socket.as_raw_fd(), number, libc::O_CLOEXEC) };
        drop(socket);
        errno.set();
    }
}
