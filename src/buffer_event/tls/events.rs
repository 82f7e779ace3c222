//! Translates libevent's events of a session into those that the event callback gets.
//!
//! Owns, lends to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use super::super::Inner;
use super::super::carrier::Kind;
use super::Tls;
use super::close::Closing;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::native::evbuffer::Access;

/// What the event callback of a filter was told about the end. The buffer event below may end
/// after that, which libevent reports as another end or error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    Nothing,
    /// The peer's `close_notify`.
    End,
    /// An error of OpenSSL's.
    Failure,
}

impl Inner {
    /// Notes OpenSSL's errors, and returns what to report to the event callback: `None` when it
    /// was reported before.
    pub(in super::super) fn translate(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let (Some(tls), Ok(view)) = (self.tls(), self.usable("")) else {
            return Some(what);
        };
        let mut what = what;
        if what.contains(BufferEventFlags::CONNECTED) && !self.is_watched() {
            what = BufferEventFlags::ERROR;
        }
        if what.contains(BufferEventFlags::ERROR) && tls.collect(view.tls()) {
            what = what.difference(BufferEventFlags::ERROR) | BufferEventFlags::EOF;
        }
        if what.contains(BufferEventFlags::EOF) && !tls.ends_well() {
            what = what.difference(BufferEventFlags::EOF) | BufferEventFlags::ERROR;
        }
        if self.kind() == Kind::TlsFilter {
            if what == BufferEventFlags::ERROR && !tls.session.received_close_notify() {
                tls.note_truncation(); // the one below has ended
            }
            what = tls.without_end_below(what)?;
        }
        Some(what)
    }

    /// Whether the socket of a session that is established is watched. libevent begins to watch it
    /// anew at the end of the handshake, and ignores that the kernel refuses.
    fn is_watched(&self) -> bool {
        let Ok(view) = self.usable("") else {
            return true;
        };
        let enabled = view.enabled();
        let enable = || view.enable("", enabled).is_ok();
        self.kind() != Kind::Tls || self.base().calling_silent(enable) // its callbacks are deferred
    }

    /// Notes the end that is reported, and resumes writing after the peer's `close_notify`: libevent
    /// stops both directions there.
    pub(in super::super) fn write_on(&self, what: BufferEventFlags) {
        if let Some(tls) = self.tls() {
            tls.note_reported(what);
        }
        let half = BufferEventFlags::READING | BufferEventFlags::EOF;
        let (true, Ok(view)) = (what == half, self.usable("")) else {
            return;
        };
        let peer_ended = |tls: &Tls| tls.session.received_close_notify();
        if !self.tls().as_deref().is_some_and(peer_ended) {
            return;
        }
        let waits = view.output(Access::Output, "").length() > 0;
        if view.enabled().contains(EventFlags::WRITE) && waits {
            let enable = || view.enable("", EventFlags::WRITE).ok();
            self.base().calling_silent(enable); // the callbacks are deferred
        }
    }

    /// Makes libevent read the bytes that OpenSSL holds decrypted. They stay there when the input
    /// reaches its high watermark, and the socket does not become readable for them.
    #[inline(never)] // so that the others need no room for it
    pub(in super::super) fn take_pending(&self) {
        let has_pending =
            |tls: &Tls| tls.closing.get() != Closing::Failed && tls.session.as_ref().pending() > 0;
        let waits = self.carrier.try_borrow().is_ok_and(|carrier| {
            carrier.kind() == Kind::Tls && carrier.tls().is_some_and(has_pending)
        });
        if waits
            && let Ok(view) = self.usable("")
            && view.fd().is_some()
            && view.enabled().contains(EventFlags::READ)
        {
            view.tls().read_soon();
        }
    }
}

impl Tls {
    /// Whether an end can be the peer's. During the handshake anybody can send a `close_notify`. After
    /// a failure, libevent takes a write that fails for a dirty shutdown.
    fn ends_well(&self) -> bool {
        if !self.session.was_established() {
            self.note_truncation();
        }
        self.closing.get() != Closing::Failed
    }

    /// What a filter reports, without what comes of the end of the buffer event below once the
    /// session itself has ended.
    fn without_end_below(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let of_session = BufferEventFlags::READING | BufferEventFlags::WRITING;
        let end = BufferEventFlags::EOF | BufferEventFlags::ERROR;
        let left = match self.reported.get() {
            _ if !what.intersects(end) => what,
            // What still comes makes libevent fail again.
            Reported::Failure if !what.contains(BufferEventFlags::WRITING) => return None,
            Reported::End if !what.intersects(of_session) => what.difference(end),
            _ if self.end_in(what) == Reported::End => what.difference(BufferEventFlags::ERROR),
            _ => what,
        };
        (!left.is_empty()).then_some(left)
    }

    /// Which end of the session these events report.
    fn end_in(&self, what: BufferEventFlags) -> Reported {
        match what.intersects(BufferEventFlags::EOF | BufferEventFlags::ERROR) {
            true if self.closing.get() == Closing::Failed => Reported::Failure,
            true if what.contains(BufferEventFlags::WRITING) => Reported::Nothing,
            true if self.session.received_close_notify() => Reported::End,
            _ => Reported::Nothing,
        }
    }

    /// Notes the end that the event callback is about to be told.
    fn note_reported(&self, what: BufferEventFlags) {
        match self.end_in(what) {
            Reported::Nothing => {}
            end => self.reported.set(end),
        }
    }
}
