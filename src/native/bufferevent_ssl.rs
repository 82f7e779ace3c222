//! A TLS `bufferevent`: its making, and the calls that only it has.
//!
//! Owns: nothing; what the makers return belongs to their caller. Lent to C: the session.
//! Runs user code: none. A TLS bufferevent is always made with deferred callbacks, and the
//! makers are called before any callback is set.
#![allow(unsafe_code)]

use std::ffi::c_ulong;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use super::OwnedBase;
use super::bufferevent::{BufferEventView, EV_READ_OFFSET, OwnedBufferEvent};
use super::ssl::{self, Session};
use crate::ffi;
use crate::flags::{BufferEventOptions, EventFlags, SslState};
use crate::runtime::error::{Result, cvt_owned};
use crate::runtime::memory::{unchecked, unchecked_from_now_on};

/// Numbers below this are results of `SSL_get_error`, which libevent mixes with the errors.
const RESULTS: c_ulong = 0x100;

/// Held while a filter is made. With the first one of the process, libevent makes OpenSSL's table for
/// all of them, and has no lock for that.
static MAKING_FILTER: Mutex<()> = Mutex::new(());

/// A TLS `bufferevent` for the length of one call.
#[derive(Clone, Copy)]
pub(crate) struct TlsBufferEvent<'a> {
    raw: *mut ffi::bufferevent,
    _call: PhantomData<&'a ()>,
}

impl<'a> BufferEventView<'a> {
    /// Its TLS side; of one that speaks no TLS there are no errors, and nothing to allow.
    pub(crate) fn tls(&self) -> TlsBufferEvent<'a> {
        TlsBufferEvent {
            raw: self.raw(),
            _call: PhantomData,
        }
    }
}

impl TlsBufferEvent<'_> {
    /// The OpenSSL errors that libevent has noted, the cause first; it forgets them.
    pub(crate) fn take_errors(self) -> Vec<c_ulong> {
        let mut errors = Vec::new();
        loop {
            // SAFETY: the view that this comes from keeps the bufferevent.
            match unsafe { ffi::bufferevent_get_openssl_error(self.raw) } {
                0 => break,
                error if error < RESULTS => {}
                error => errors.push(error),
            }
        }
        errors.reverse(); // libevent gives the last one first
        errors
    }

    pub(crate) fn allow_dirty_shutdown(self, allow: bool) {
        // SAFETY: the view that this comes from keeps the bufferevent.
        unsafe { ffi::bufferevent_openssl_set_allow_dirty_shutdown(self.raw, allow.into()) };
    }

    /// Keeps OpenSSL from reading for as long as more comes, if it speaks TLS on a socket. To be
    /// called whenever libevent has taken a socket, which it reads in a new way then.
    pub(crate) fn read_in_parts(self) {
        // SAFETY: the view that this comes from keeps the bufferevent; null without TLS.
        let session = unsafe { ffi::bufferevent_openssl_get_ssl(self.raw) };
        if !session.is_null() {
            // SAFETY: the session lives as long as the bufferevent.
            unsafe { ssl::read_in_parts(session) };
        }
    }

    /// Whether it speaks TLS, and its handshake is over.
    pub(crate) fn is_established(self) -> bool {
        // SAFETY: the view that this comes from keeps the bufferevent; null without TLS.
        let session = unsafe { ffi::bufferevent_openssl_get_ssl(self.raw) };
        // SAFETY: the session lives as long as the bufferevent.
        unsafe { ssl::is_established(session) }
    }

    /// Ends the output: returns the record with `close_notify`, for the caller to send. It is
    /// empty if the bufferevent speaks no TLS, or its handshake is not over. Not called from
    /// within a read or a write of libevent's.
    pub(crate) fn close_notify(self) -> Vec<u8> {
        // SAFETY: the view that this comes from keeps the bufferevent; null without TLS.
        let session = unsafe { ffi::bufferevent_openssl_get_ssl(self.raw) };
        // SAFETY: the session lives as long as the bufferevent, and libevent calls us between
        // two calls on it.
        unsafe { ssl::close_notify_of(session) }
    }

    /// Has libevent read in the next turn of the loop, as if its socket were readable. It has a
    /// socket, and `READ` is enabled, or will be before the loop goes on.
    pub(crate) fn read_soon(self) {
        // SAFETY: `raw` is a `bufferevent`, which has this event at the offset.
        let readable = unsafe { self.raw.byte_add(EV_READ_OFFSET) }.cast();
        // It may not be watched, if the high mark is met. libevent watches no event that is added
        // while it is active: reading would not go on after this one time.
        // SAFETY: libevent initialized the event, and deletes it when `READ` is disabled, when it
        // has read with the high mark met, and when the bufferevent ends; null asks for no time.
        unsafe { ffi::event_add(readable, ptr::null()) };
        let read = EventFlags::READ.bits().into();
        // SAFETY: libevent initialized the event, and deletes it when the bufferevent ends.
        unsafe { ffi::event_active(readable, read, 0) };
    }
}

/// Makes a TLS bufferevent on a socket; a descriptor of −1 means none yet.
///
/// # Safety
/// `base` is dropped after the bufferevent; `session` is kept until [`Session::free_later`];
/// `fd` stays open until libevent has forgotten it.
pub(crate) unsafe fn on_socket(
    call: &'static str,
    base: &OwnedBase,
    fd: RawFd,
    session: &Session,
    state: SslState,
    options: BufferEventOptions,
) -> Result<OwnedBufferEvent> {
    let options = (options | BufferEventOptions::DEFER_CALLBACKS).bits();
    session.read_one_at_a_time();
    // SAFETY: the caller keeps `base`, `fd` and `session`; without BEV_OPT_CLOSE_ON_FREE
    // libevent frees neither descriptor nor session.
    let raw = unchecked(|| unsafe {
        ffi::bufferevent_openssl_socket_new(base.raw(), fd, session.raw(), state.to_c(), options)
    });
    let raw = cvt_owned(call, raw)?;
    if fd >= 0 {
        // SAFETY: `session` is borrowed, and was given `fd`.
        unsafe { ssl::read_in_parts(session.raw()) };
    }
    // SAFETY: made above, with one count.
    Ok(unsafe { OwnedBufferEvent::from_raw(raw) })
}

/// Makes a TLS bufferevent on top of another, on which libevent counts from here on.
///
/// # Safety
/// As [`on_socket`].
pub(crate) unsafe fn on_bufferevent(
    call: &'static str,
    base: &OwnedBase,
    under: BufferEventView<'_>,
    session: &Session,
    state: SslState,
    options: BufferEventOptions,
) -> Result<OwnedBufferEvent> {
    let options = (options | BufferEventOptions::DEFER_CALLBACKS).bits();
    unchecked_from_now_on(); // what it writes to `under` is not checked
    let (ssl, state) = (session.raw(), state.to_c());
    let _turn = MAKING_FILTER.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the caller keeps `base` and `session`; libevent counts on `under`, and without
    // BEV_OPT_CLOSE_ON_FREE it frees neither it nor the session. No other thread makes a filter now.
    let raw = unchecked(|| unsafe {
        ffi::bufferevent_openssl_filter_new(base.raw(), under.raw(), ssl, state, options)
    });
    let raw = cvt_owned(call, raw)?;
    // SAFETY: made above, with one count.
    Ok(unsafe { OwnedBufferEvent::from_raw(raw) })
}

/// Makes a TLS bufferevent without a descriptor for evhttp, which takes it over: it frees the
/// session and closes the descriptor that it gets.
///
/// # Safety
/// `base` is dropped after the bufferevent.
pub(crate) unsafe fn owning(
    call: &'static str,
    base: &OwnedBase,
    session: Session,
    state: SslState,
) -> Result<OwnedBufferEvent> {
    let options = BufferEventOptions::CLOSE_ON_FREE | BufferEventOptions::DEFER_CALLBACKS;
    let options = options.bits();
    session.read_one_at_a_time();
    let (session, state) = (session.into_raw(), state.to_c());
    // SAFETY: the caller keeps `base`. The session is libevent's from here on, which frees it
    // where it fails, too.
    let raw = unchecked(|| unsafe {
        ffi::bufferevent_openssl_socket_new(base.raw(), -1, session, state, options)
    });
    let raw = cvt_owned(call, raw)?;
    // SAFETY: made above, with one count.
    Ok(unsafe { OwnedBufferEvent::from_raw(raw) })
}
