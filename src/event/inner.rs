//! What all handles of one event share, and how it ends.
//!
//! Owns: the `event`, its closure (which owns a descriptor event's source) and its data.
//! Lends C one weak count of [`Inner`], until the event is freed.
//! Runs user code: destructors of what the closure captured, when nothing is borrowed.

use std::any::Any;
use std::cell::{Cell, Ref, RefCell};
use std::ffi::c_int;
use std::ptr;
use std::rc::Rc;

use super::Event;
use super::data::Data;
use crate::base;
use crate::flags::EventFlags;
use crate::native::OwnedEvent;
use crate::runtime::{Ending, Slot, signals};

/// The flags that make an event run, as opposed to those that say how it is registered.
pub(super) const REASONS: EventFlags = EventFlags::TIMEOUT
    .union(EventFlags::READ)
    .union(EventFlags::WRITE)
    .union(EventFlags::CLOSED)
    .union(EventFlags::SIGNAL);

pub(super) type Callback = dyn FnMut(&Event, EventFlags);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Descriptor,
    Signal(c_int),
    Timer,
}

pub(crate) struct Inner {
    pub(super) native: RefCell<Option<OwnedEvent<Inner>>>, // none once freed
    pub(super) kind: Cell<Kind>,
    pub(crate) slot: Slot<Callback>,
    pub(super) data: RefCell<Option<Rc<dyn Data>>>,
    pub(super) base: RefCell<Rc<base::Inner>>, // keeps the base alive longer than `native`
    pub(super) serializing: Cell<bool>,
    pub(super) detached: Cell<bool>, // the base keeps a handle of it
    pub(super) enlisted: Cell<bool>, // on the base's list of added signal events
}

/// What is left of an event after its last handle has gone, or after `free`.
struct Remains {
    event: OwnedEvent<Inner>,
    address: usize, // identifies the event at its base
    is_signal: bool,
    closure: Option<Box<Callback>>, // owns the source, whose number must stay taken
}

impl base::Remains for Remains {
    fn free(self, base: &base::Inner) {
        let Self {
            event,
            address,
            is_signal,
            closure,
        } = self;
        if is_signal {
            let mut record = signals::lock();
            drop(event);
            base.remove_signal(&mut record, address);
        } else {
            drop(event);
        }
        drop(closure); // which may run user code
    }
}

impl base::SignalEvent for Inner {
    fn stop(&self) {
        let Some(event) = self.native() else { return };
        let record = signals::lock();
        event.del_signal("EventBase::free").ok(); // fails only for a base that is none
        drop((record, event));
        self.unenlist();
    }
}

impl Inner {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base.borrow())
    }

    /// Identifies this event at its base.
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    pub(crate) fn signum(&self) -> Option<c_int> {
        match self.kind.get() {
            Kind::Signal(signum) => Some(signum),
            _ => None,
        }
    }

    /// The event, unless it was freed. No user code runs while this is borrowed.
    pub(super) fn native(&self) -> Option<Ref<'_, OwnedEvent<Self>>> {
        Ref::filter_map(self.native.borrow(), Option::as_ref).ok()
    }

    /// Whether any of `flags` is pending or active; nothing of a freed event or base is.
    pub(super) fn pends(&self, flags: EventFlags) -> bool {
        let freed = self.base.borrow().is_freed();
        !freed && self.native().is_some_and(|event| event.pends(flags))
    }

    /// After a callback: an event that is no longer pending leaves its base's lists. Returns the
    /// handle that the base kept, for the caller to drop.
    pub(crate) fn settle(&self) -> Option<Box<dyn Any>> {
        if !self.enlisted.get() && !self.detached.get() || self.pends(REASONS) {
            return None;
        }
        self.unenlist();
        self.undetach()
    }

    /// Takes the event off its base's list of added signal events.
    pub(super) fn unenlist(&self) {
        if self.enlisted.replace(false) {
            let mut record = signals::lock();
            self.base().remove_signal(&mut record, self.address());
        }
    }

    /// Returns the handle that the base keeps of a detached event, for the caller to drop.
    pub(super) fn undetach(&self) -> Option<Box<dyn Any>> {
        let detached = self.detached.replace(false);
        detached
            .then(|| self.base().let_go(self.address()))
            .flatten()
    }

    /// Ends the event; harmless a second time. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        let Some(event) = self.native.take() else {
            return;
        };
        self.enlisted.set(false); // `Remains` sees to the base's list
        let remains = Remains {
            event,
            address: self.address(),
            is_signal: self.signum().is_some(),
            closure: self.slot.set(None),
        };
        self.base().end(remains);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut ending = Ending::default();
        ending.run(|| self.release());
        ending.drop(self.data.take());
        ending.finish();
    }
}
