//! What libevent reports about a session, and what the event callback is told of it.
//!
//! Owns, lends to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use super::super::inner::{Inner, Kind};
use super::Tls;
use crate::ffi;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::native::bufferevent_ssl::TlsBufferEvent;

/// Whether the event callback of a filter was told that the peer sends nothing more. What is
/// under the filter may end after that, which libevent reports as a second end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerEnd {
    NotReported,
    Reported,
}

impl Inner {
    /// Notes OpenSSL's errors, and gives what the event callback is told: none when it has
    /// been told already.
    pub(crate) fn translate(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let (Some(tls), Ok(raw)) = (&*self.tls.borrow(), self.usable("")) else {
            return Some(what);
        };
        let mut what = what;
        // SAFETY: `usable` gives one that is not freed, and it has a session.
        let bev = unsafe { TlsBufferEvent::new(raw) };
        if what.contains(BufferEventFlags::ERROR) && tls.collect(bev) {
            what = what.difference(BufferEventFlags::ERROR) | BufferEventFlags::EOF;
        }
        let is_end_below = self.kind == Kind::TlsFilter
            && !what.contains(BufferEventFlags::WRITING)
            && tls.session.received_close_notify()
            && tls.errors.borrow().is_empty();
        if is_end_below {
            return tls.end_below(what);
        }
        Some(what)
    }

    /// Goes on writing after the peer's `close_notify`, where libevent stops both directions.
    pub(crate) fn write_on(&self, what: BufferEventFlags) {
        let half = BufferEventFlags::READING | BufferEventFlags::EOF;
        let (true, Ok(raw)) = (what == half, self.usable("")) else {
            return;
        };
        let peer_ended = |tls: &Tls| tls.session.received_close_notify();
        if !self.tls.borrow().as_ref().is_some_and(peer_ended) {
            return;
        }
        let write = EventFlags::WRITE.bits();
        // SAFETY: `usable` gives one that is not freed.
        let enabled = unsafe { ffi::bufferevent_get_enabled(raw) } & write != 0;
        if enabled && self.output_length(raw) > 0 {
            // SAFETY: `usable` gave one that is not freed; the callbacks are deferred.
            self.base()
                .calling_in_drop(|| unsafe { ffi::bufferevent_enable(raw, write) });
        }
    }

    /// Has libevent take the bytes that OpenSSL has decrypted and kept, because the input was
    /// at its high mark: nothing more need come through the socket that would have them taken.
    pub(in super::super) fn take_pending(&self, raw: *mut ffi::bufferevent) {
        let has_pending = |tls: &Tls| tls.session.as_ref().pending() > 0;
        let waits = self
            .tls
            .try_borrow()
            .is_ok_and(|tls| tls.as_ref().is_some_and(has_pending));
        if self.kind == Kind::Tls && waits {
            // SAFETY: `raw` is this object's, which has a session, so is not freed.
            unsafe { TlsBufferEvent::new(raw) }.read_soon();
        }
    }
}

impl Tls {
    /// What a filter's callback is told of the end of what is under it, after the peer's
    /// `close_notify`.
    fn end_below(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let what = what.difference(BufferEventFlags::ERROR);
        let was_told = self.peer_end.get() == PeerEnd::Reported;
        if what.is_empty() || was_told && what == BufferEventFlags::EOF {
            return None;
        }
        if what.contains(BufferEventFlags::EOF) {
            self.peer_end.set(PeerEnd::Reported);
        }
        Some(what)
    }
}
