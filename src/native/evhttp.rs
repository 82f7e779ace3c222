//! Every call on an `evhttp`, and on the `evhttp_bound_socket`s that it accepts from.
//!
//! Owns: the server. Lends C the weak count that the callbacks for a new connection's bufferevent
//! and for a request get, until the server is freed.
//!
//! Runs callbacks: dropping an [`OwnedHttp`] runs the close callback of each connection. It reads
//! what the class keeps of the connection, which the class keeps until then.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::fmt;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};

use super::OwnedBase;
use super::evconnlistener::OnFailure;
use crate::ffi;
use crate::runtime::Lent;
use crate::runtime::error::{Result, cvt, cvt_owned};

/// The C function that makes the bufferevent of a connection which was just accepted.
pub(crate) type BufferEventEntry =
    unsafe extern "C" fn(*mut ffi::event_base, *mut c_void) -> *mut ffi::bufferevent;

/// The C function that gets a complete request.
pub(crate) type RequestEntry = unsafe extern "C" fn(*mut ffi::evhttp_request, *mut c_void);

/// An `evhttp` whose callbacks get a weak count of a `T`; both end with this.
pub(crate) struct OwnedHttp<T> {
    raw: NonNull<ffi::evhttp>,
    _lent: Lent<T>, // dropped after `drop` has freed the server
}

impl<T> OwnedHttp<T> {
    /// Makes a server that lets all methods through, and has no limits.
    ///
    /// # Safety
    /// `base` is dropped after this. The entries take their argument for a lent `T`.
    pub(crate) unsafe fn new(
        call: &'static str,
        base: &OwnedBase,
        bufferevent: BufferEventEntry,
        request: RequestEntry,
        lent: Lent<T>,
    ) -> Result<Self> {
        // SAFETY: `base` outlives the server, as `# Safety` asks.
        let http = cvt_owned(call, unsafe { ffi::evhttp_new(base.raw()) })?;
        let (raw, arg) = (http.as_ptr(), lent.arg());
        // SAFETY: made above; `request` may be called with `arg` until `drop` has freed it.
        unsafe { ffi::evhttp_set_gencb(raw, Some(request), arg) };
        // SAFETY: made above; `bufferevent` may be called with `arg` until `drop` has freed it.
        unsafe { ffi::evhttp_set_bevcb(raw, Some(bufferevent), arg) };
        // SAFETY: made above. Bit 15 means the methods that evhttp does not know.
        unsafe { ffi::evhttp_set_allowed_methods(raw, u16::MAX) };
        Ok(Self {
            raw: http,
            _lent: lent,
        })
    }

    /// What the failure callback of a bound socket gets: libevent passes no argument of ours.
    pub(crate) fn address(&self) -> usize {
        self.raw.as_ptr().addr()
    }

    pub(crate) fn add_alias(&self, call: &'static str, alias: &CStr) -> Result<()> {
        // SAFETY: `self` owns the server; libevent copies the name.
        let rc = unsafe { ffi::evhttp_add_server_alias(self.raw.as_ptr(), alias.as_ptr()) };
        cvt(call, rc).map(drop)
    }

    /// Returns whether there was one.
    pub(crate) fn remove_alias(&self, alias: &CStr) -> bool {
        // SAFETY: `self` owns the server.
        unsafe { ffi::evhttp_remove_server_alias(self.raw.as_ptr(), alias.as_ptr()) == 0 }
    }

    /// Accepts from a listening TCP socket, which libevent does not close. `failure` gets the
    /// server's [`address`](Self::address) as its argument.
    ///
    /// # Safety
    /// `base` is the server's. `fd` stays the same open socket until [`unbind`](Self::unbind) or
    /// the end of this.
    pub(crate) unsafe fn bind(
        &self,
        call: &'static str,
        base: &OwnedBase,
        fd: RawFd,
        failure: OnFailure,
    ) -> Result<Bound> {
        let (http, flags) = (self.raw.as_ptr(), ffi::LEV_OPT_CLOSE_ON_EXEC);
        // SAFETY: `base` outlives the listener and `fd` is its socket, as `# Safety` asks.
        // evhttp sets the callback below.
        let listener =
            unsafe { ffi::evconnlistener_new(base.raw(), None, ptr::null_mut(), flags, 0, fd) };
        let listener = cvt_owned(call, listener)?;
        // SAFETY: `self` owns the server, and the listener was made above.
        let bound = unsafe { ffi::evhttp_bind_listener(http, listener.as_ptr()) };
        let bound = cvt_owned(call, bound).inspect_err(|_| {
            // SAFETY: made above, and evhttp has not taken it.
            unsafe { ffi::evconnlistener_free(listener.as_ptr()) };
        })?;
        // SAFETY: made above; `failure` takes the argument that evhttp has set.
        unsafe { ffi::evconnlistener_set_error_cb(listener.as_ptr(), Some(failure)) };
        let bound = Bound {
            raw: bound,
            listener,
        };
        // SAFETY: made above. It is enabled already, or the backend has refused its descriptor.
        let rc = unsafe { ffi::evconnlistener_enable(listener.as_ptr()) };
        match cvt(call, rc) {
            Ok(_) => Ok(bound),
            Err(error) => {
                self.unbind(bound);
                Err(error)
            }
        }
    }

    /// Accepts no more from a socket that [`bind`](Self::bind) gave.
    pub(crate) fn unbind(&self, bound: Bound) {
        // SAFETY: `self` owns the server, whose `bound` is; nobody has it any more.
        unsafe { ffi::evhttp_del_accept_socket(self.raw.as_ptr(), bound.raw.as_ptr()) };
    }

    /// Pauses accepting from a socket that [`bind`](Self::bind) gave, or resumes it. Returns
    /// whether the backend agreed.
    pub(crate) fn accept(&self, bound: &Bound, on: bool) -> bool {
        let listener = bound.listener.as_ptr();
        let rc = if on {
            // SAFETY: `self` owns the server, and with it the listener of `bound`.
            unsafe { ffi::evconnlistener_enable(listener) }
        } else {
            // SAFETY: `self` owns the server, and with it the listener of `bound`.
            unsafe { ffi::evconnlistener_disable(listener) }
        };
        rc == 0
    }
}

impl<T> Drop for OwnedHttp<T> {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here. No frame of libevent that would go on with
        // the server is below: its callbacks run no user code that could end it.
        unsafe { ffi::evhttp_free(self.raw.as_ptr()) };
    }
}

impl<T> fmt::Debug for OwnedHttp<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.raw, f)
    }
}

/// A socket that a server accepts from; freed with the server, or by [`OwnedHttp::unbind`].
#[derive(Debug)]
pub(crate) struct Bound {
    raw: NonNull<ffi::evhttp_bound_socket>,
    listener: NonNull<ffi::evconnlistener>,
}
