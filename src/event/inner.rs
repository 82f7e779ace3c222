//! What all handles of one event share, and how it ends.
//!
//! Owns: the `event`, its closure (which owns a descriptor event's source) and its data.
//! Lent to C: one weak count of [`Inner`], from `Event::make` to [`Inner::release`].
//! Runs user code: destructors of what the closure captured, when nothing is borrowed.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

use super::Event;
use super::data::Data;
use crate::flags::EventFlags;
use crate::trampoline::{self, Slot};
use crate::{base, ffi, signals};

/// The bits that stand for a reason to run, not for a way of being registered.
pub(super) const REASONS: EventFlags = EventFlags::TIMEOUT
    .union(EventFlags::READ)
    .union(EventFlags::WRITE)
    .union(EventFlags::SIGNAL);

pub(super) type Callback = dyn FnMut(&Event, EventFlags);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Descriptor,
    Signal(c_int),
    Timer,
}

pub(crate) struct Inner {
    pub(super) raw: Cell<*mut ffi::event>, // null once freed
    pub(super) arg: Cell<*mut c_void>,     // the weak count lent to C
    pub(super) kind: Cell<Kind>,
    pub(crate) slot: Slot<Callback>,
    pub(super) data: RefCell<Option<Rc<dyn Data>>>,
    pub(super) base: RefCell<Rc<base::Inner>>, // keeps the base alive longer than `raw`
    pub(super) serializing: Cell<bool>,
    pub(super) detached: Cell<bool>, // in the base's keeping
    pub(super) enlisted: Cell<bool>, // on the base's list of added signal events
}

/// An event that was dropped in a forked child before its base could free it.
struct Orphan {
    raw: *mut ffi::event,
    arg: *mut c_void,
    closure: Option<Box<Callback>>, // owns the source, whose number must stay taken
}

impl base::Orphan for Orphan {
    fn free(self: Box<Self>, base: &base::Inner) {
        let mut owner = signals::lock();
        owner.strike(base, self.arg.cast_const().cast());
        // SAFETY: made by `event_new`; the handle that would have freed it gave it up.
        unsafe { ffi::event_free(self.raw) };
        drop(owner);
        // SAFETY: lent in `make`, and libevent has forgotten it.
        unsafe { trampoline::reclaim::<Inner>(self.arg) };
        drop(self.closure);
    }
}

impl Inner {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base.borrow())
    }

    pub(crate) fn signum(&self) -> Option<c_int> {
        match self.kind.get() {
            Kind::Signal(signum) => Some(signum),
            _ => None,
        }
    }

    /// Whether any of `flags` is pending or active; nothing of a freed event or base is.
    pub(super) fn pends(&self, flags: EventFlags) -> bool {
        let raw = self.raw.get();
        if raw.is_null() || self.base.borrow().is_freed() {
            return false;
        }
        // SAFETY: `raw` is not null, so `release` has not freed it.
        unsafe { ffi::event_pending(raw, flags.bits(), ptr::null_mut()) != 0 }
    }

    /// After a callback: what only a pending event has is given back. Returns the handle
    /// that the base kept, for the caller to drop.
    pub(crate) fn settle(&self) -> Option<Event> {
        if !self.enlisted.get() && !self.detached.get() || self.pends(REASONS) {
            return None;
        }
        self.unenlist();
        if self.detached.replace(false) {
            self.base().let_go(self)
        } else {
            None
        }
    }

    pub(super) fn unenlist(&self) {
        if self.enlisted.replace(false) {
            signals::lock().strike(&self.base.borrow(), self);
        }
    }

    /// Ends the event; harmless a second time. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        let arg = self.arg.replace(ptr::null_mut());
        let closure = self.slot.set(None);
        let base = self.base();
        if base.is_foreign() {
            base.adopt(Box::new(Orphan { raw, arg, closure }));
            return;
        }
        let owner = self.signum().map(|_| signals::lock());
        // SAFETY: made by `event_new`, freed only here; `base` outlives this call.
        unsafe { ffi::event_free(raw) };
        drop(owner);
        self.unenlist();
        // SAFETY: lent in `make`, and libevent has forgotten it.
        unsafe { trampoline::reclaim::<Self>(arg) };
        drop(closure);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.release();
    }
}

/// After `event_del` of a signal event. To end the calls it still owes, libevent writes
/// through a pointer into the frame of its loop; it keeps the pointer, and would write there
/// again at the next `event_del`, when the frame is gone. Activation clears it.
pub(super) fn forget_owed_calls(raw: *mut ffi::event) {
    // SAFETY: the caller has not freed `raw`.
    unsafe { ffi::event_active(raw, ffi::EV_SIGNAL as c_int, 0) };
    // SAFETY: as above.
    unsafe { ffi::event_del(raw) };
}
