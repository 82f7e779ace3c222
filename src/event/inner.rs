//! What all handles of one event share, and how it ends.
//!
//! Owns: the `event`, its closure (which owns a descriptor event's source) and its data.
//! Lent to C: one weak count of [`Inner`], from `Event::make` to [`Inner::release`].
//! Runs user code: destructors of what the closure captured, when nothing is borrowed.
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::rc::Rc;

use super::Event;
use super::data::Data;
use crate::error::Result;
use crate::flags::EventFlags;
use crate::runtime::{self, Slot, signals};
use crate::{base, ffi};

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

/// What C holds of an event.
struct Remains {
    raw: *mut ffi::event,
    arg: *mut c_void,
    signum: Option<c_int>,
    closure: Option<Box<Callback>>, // owns the source, whose number must stay taken
}

impl base::Remains for Remains {
    fn free(self: Box<Self>, base: &base::Inner) {
        let mut record = self.signum.map(|_| signals::lock());
        // SAFETY: made by `event_new`; `Inner::release` gave it up to this.
        unsafe { ffi::event_free(self.raw) };
        if let (Some(record), Some(signum)) = (&mut record, self.signum) {
            base.remove_signal(record, self.arg.addr(), signum);
        }
        drop(record);
        // SAFETY: lent in `make`, and libevent has forgotten it.
        unsafe { runtime::reclaim::<Inner>(self.arg) };
        drop(self.closure);
    }
}

impl base::SignalEvent for Inner {
    fn signum(&self) -> c_int {
        Self::signum(self).unwrap_or_default()
    }

    fn del(self: Rc<Self>) -> Result<()> {
        Event(self).del()
    }
}

impl Inner {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base.borrow())
    }

    /// What the base knows this event by.
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
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
    pub(crate) fn settle(&self) -> Option<Box<dyn Any>> {
        if !self.enlisted.get() && !self.detached.get() || self.pends(REASONS) {
            return None;
        }
        self.unenlist();
        if self.detached.replace(false) {
            self.base().let_go(self.address())
        } else {
            None
        }
    }

    pub(super) fn unenlist(&self) {
        if self.enlisted.replace(false)
            && let Some(signum) = self.signum()
        {
            let mut record = signals::lock();
            self.base()
                .remove_signal(&mut record, self.address(), signum);
        }
    }

    /// Ends the event; harmless a second time. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        if raw.is_null() {
            return;
        }
        let arg = self.arg.replace(ptr::null_mut());
        let remains = Remains {
            raw,
            arg,
            signum: self.signum(),
            closure: self.slot.set(None),
        };
        self.base().end(remains);
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
