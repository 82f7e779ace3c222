//! The callbacks that a filter of libevent's has on the buffer event under it.
//!
//! Ours stand in their place and call them. libevent unlinks a filter that was freed when its
//! last frame ends, or a deferred callback of it has run: later than we put another filter in
//! its place. It would take the callbacks away then if they were those of a filter.
//!
//! libevent tells a TLS filter of the end below it at once, though bytes that came before may wait
//! there. Here it is told when it has taken them.
//!
//! Owns: nothing. Lends C one weak count of [`Relay`], until the filter is freed.
//! Runs user code: what libevent's callbacks run.
#![allow(unsafe_code)]

use std::ffi::{c_short, c_void};
use std::rc::{Rc, Weak};

use nix::errno::Errno;

use super::EventBufferEvent;
use super::carrier::Kind;
use super::inner::Inner;
#[cfg(feature = "openssl")]
use super::tls::Tls;
#[cfg(feature = "openssl")]
use crate::buffer::{Lender as _, Side};
use crate::ffi;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::native::bufferevent::ForeignCallbacks;
use crate::runtime::{Lent, upgrade};

/// How much is read below a TLS filter that does not read.
#[cfg(feature = "openssl")]
const UNREAD_MAX: usize = 64 * 1024;

/// What the callbacks of the buffer event under a filter lead to.
pub(super) struct Relay {
    callbacks: ForeignCallbacks, // those of libevent's filter
    top: Weak<Inner>,
    under: Weak<Inner>,
}

impl Inner {
    /// Puts our callbacks in the place of those that libevent's filter has set on what is under
    /// it: when the filter is made, and when a TLS handshake is over, which sets them anew.
    pub(super) fn relay_callbacks(self: &Rc<Self>) {
        let Some(under) = self.under() else { return };
        let Some(view) = under.0.place.view() else {
            return;
        };
        let callbacks = view.foreign_callbacks();
        if callbacks.is_event(on_under_event) {
            return;
        }
        let relay = Rc::new(Relay {
            callbacks,
            top: Rc::downgrade(self),
            under: Rc::downgrade(&under.0),
        });
        let lent = Lent::new(&relay);
        // SAFETY: the entry points take their argument for a `Relay`, which is lent until the
        // filter ends, and that of before until here: in both places other callbacks are set
        // first.
        unsafe {
            view.set_callbacks(
                Some(on_under_read),
                Some(on_under_write),
                Some(on_under_event),
                &lent,
            );
        }
        let mut carrier = self.carrier.borrow_mut();
        if let Some(under) = carrier.under_mut() {
            under.relay = Some((relay, lent));
        }
    }
}

#[cfg(feature = "openssl")]
impl Inner {
    /// Bytes were taken: tells an end that was kept back, if these were the last.
    pub(super) fn tell_late_end_if_read(&self) {
        if !self.has_unread() {
            self.tell_late_end();
        }
    }

    /// Tells an end that was kept back.
    pub(super) fn tell_late_end(&self) {
        if let Some((what, errno)) = self.late_end.take() {
            self.happen_later(what, errno);
        }
    }

    fn has_unread(&self) -> bool {
        self.length(Side::Input) > Some(0)
    }
}

impl Relay {
    /// What the event callback of what is under the filter would get; `None` if it was told
    /// before. The filter gets no other.
    fn event_of_under(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        let Some(under) = self.under.upgrade() else {
            return Some(what);
        };
        let what = under.what_happened(what)?;
        under.go_on_after(what);
        Some(what)
    }

    /// Keeps the end back as long as a TLS filter has not taken the bytes that came before it.
    #[cfg(feature = "openssl")]
    fn keeps_back(&self, what: BufferEventFlags, errno: i32) -> bool {
        let end = BufferEventFlags::EOF | BufferEventFlags::ERROR;
        let is_end = what.contains(BufferEventFlags::READING) && what.intersects(end);
        let (true, Some(top), Some(under)) = (is_end, self.top.upgrade(), self.under.upgrade())
        else {
            return false;
        };
        let takes_more = || top.tls().is_some_and(|tls| tls.may_take_more());
        let leaves_bytes = top.kind() == Kind::TlsFilter && under.has_unread() && takes_more();
        // Where it cannot be noticed that they are taken, it is told at once: without memory, and on
        // another TLS filter, which may not be made to read here.
        let may_watch = under.kind() != Kind::TlsFilter || under.settings.watches_input.get();
        let is_kept = leaves_bytes && may_watch && under.watch_input("").is_ok();
        if is_kept {
            under.late_end.set(Some((what, errno)));
        }
        is_kept
    }

    /// Whether the read callback of what is under the filter would run.
    fn has_something_to_read(&self) -> bool {
        self.under.upgrade().is_none_or(|under| !under.is_stale())
    }

    /// After the read callback. A filter that does not read stops what is under it; the end of a
    /// filter that was freed before starts it again. TLS reads for its handshake, too.
    fn settle(&self) {
        if let Some(top) = self.top.upgrade() {
            self.hold_back(&top);
        }
        if let Some(under) = self.under.upgrade() {
            EventBufferEvent(under).pause_if_full();
        }
    }

    /// Has what is below read no more while `top` does not.
    fn hold_back(&self, top: &Inner) {
        let Ok(view) = top.usable("") else { return };
        let reads = view.enabled() & EventFlags::READ;
        #[cfg(feature = "openssl")]
        if top.kind() == Kind::TlsFilter {
            let Some(tls) = top.tls() else { return };
            if !self.is_flooded(&tls) {
                return;
            }
            view.disable("", EventFlags::READ).ok();
            if !reads.is_empty() && !tls.is_dead() {
                // Its input is full: what is below stays stopped until there is room.
                let enable = || view.enable("", reads).ok(); // was enabled before
                top.base().calling_silent(enable); // the callbacks are deferred
            }
            return;
        }
        if top.kind() == Kind::Filter && reads.is_empty() {
            view.disable("", EventFlags::READ).ok();
        }
    }

    /// Whether much waits below a TLS filter that takes none of it: it does not read, its input is
    /// full, or it has failed.
    #[cfg(feature = "openssl")]
    fn is_flooded(&self, tls: &Tls) -> bool {
        let under = self.under.upgrade();
        let unread = under.and_then(|under| under.length(Side::Input));
        (tls.is_established() || tls.is_dead()) && unread >= Some(UNREAD_MAX)
    }
}

/// # Safety
/// Registered only by [`Inner::relay_callbacks`], with a lent [`Relay`].
unsafe extern "C" fn on_under_read(bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: `arg` is lent for `Relay` until the filter has been freed, and other callbacks
    // are set.
    let Some(relay) = (unsafe { upgrade::<Relay>(arg) }) else {
        return;
    };
    if relay.has_something_to_read() {
        // SAFETY: libevent called with `bev`, and its filter lives until a turn after it was freed.
        unsafe { relay.callbacks.read(bev) };
    }
    relay.settle();
}

/// # Safety
/// Registered only by [`Inner::relay_callbacks`], with a lent [`Relay`].
unsafe extern "C" fn on_under_write(bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: as for `on_under_read`, `arg` is lent for `Relay` until other callbacks are set.
    let Some(relay) = (unsafe { upgrade::<Relay>(arg) }) else {
        return;
    };
    // SAFETY: libevent called with `bev`, and its filter lives until a turn after it was freed.
    unsafe { relay.callbacks.write(bev) };
    #[cfg(feature = "openssl")]
    if let Some(top) = relay.top.upgrade() {
        EventBufferEvent(top).resume_shutdown();
    }
}

/// # Safety
/// Registered only by [`Inner::relay_callbacks`], with a lent [`Relay`].
unsafe extern "C" fn on_under_event(bev: *mut ffi::bufferevent, what: c_short, arg: *mut c_void) {
    // SAFETY: as for `on_under_read`, `arg` is lent for `Relay` until other callbacks are set.
    let Some(relay) = (unsafe { upgrade::<Relay>(arg) }) else {
        return;
    };
    let errno = Errno::last_raw(); // the filter's event callback may ask for it
    let what = BufferEventFlags::from_bits_retain(what);
    #[cfg(feature = "openssl")]
    if relay.keeps_back(what, errno) {
        return;
    }
    let Some(what) = relay.event_of_under(what) else {
        return;
    };
    Errno::set_raw(errno);
    // SAFETY: libevent called with `bev`, and its filter lives until a turn after it was freed.
    unsafe { relay.callbacks.event(bev, what.bits()) };
}
