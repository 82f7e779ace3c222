//! What all handles of one event share, and how it ends.
//!
//! Owns: the `event`, its closure (which owns a descriptor event's source) and its data, in one
//! piece of memory. Lends C the memory of the `event`, and one weak count of [`Inner`], until the
//! event is deleted.
//! Runs user code: destructors of what the closure captured, when nothing is borrowed.

use std::any::Any;
use std::cell::{Cell, Ref, RefCell};
use std::ffi::c_int;
use std::ptr;
use std::rc::{Rc, Weak};

use super::closure::{Callback, Closure};
use super::data::Data;
use crate::base;
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::native::{OwnedEvent, WithEvent};
use crate::runtime::{Ending, signals};

/// The flags that make an event run, as opposed to those that say how it is registered.
pub(super) const REASONS: EventFlags = EventFlags::TIMEOUT
    .union(EventFlags::READ)
    .union(EventFlags::WRITE)
    .union(EventFlags::CLOSED)
    .union(EventFlags::SIGNAL);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Descriptor,
    Signal(u8),
    Timer,
}

pub(crate) type Inner<C = dyn Closure> = WithEvent<State<C>>;

/// [`Inner`] without the memory of `native`.
pub(crate) struct State<C: ?Sized + Closure> {
    pub(super) native: RefCell<Option<OwnedEvent>>, // none once freed
    pub(super) kind: Cell<Kind>,
    pub(super) data: RefCell<Option<Box<Rc<dyn Data>>>>, // boxed, since few events have any
    pub(super) base: RefCell<Rc<base::Inner>>, // keeps the base alive longer than `native`
    pub(super) serializing: Cell<bool>,
    pub(super) detached: Cell<bool>, // the base keeps a handle of it
    pub(super) enlisted: Cell<bool>, // on the base's list of added signal events
    pub(super) timeless: Cell<bool>, // a signal event whose timeout was removed, and is still in C
    pub(super) ended: Cell<bool>,    // `closure` is dropped when it has returned
    pub(super) closure: C,
}

/// What is left, in a forked child, of an event whose last handle has gone, or that was freed.
struct Remains {
    event: OwnedEvent,
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

impl base::SignalEvent for Weak<Inner> {
    fn stop(&self) {
        let Some(inner) = self.upgrade() else { return };
        let Some(event) = inner.native() else { return };
        let record = signals::lock();
        event.del_signal("EventBase::free").ok(); // fails only for a base that is none
        drop((record, event));
        inner.unenlist();
    }
}

impl<C: ?Sized + Closure> State<C> {
    pub(crate) fn base(&self) -> Rc<base::Inner> {
        Rc::clone(&self.base.borrow())
    }

    /// Identifies this event at its base.
    pub(super) fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    pub(crate) fn signum(&self) -> Option<c_int> {
        match self.kind.get() {
            Kind::Signal(signum) => Some(signum.into()),
            _ => None,
        }
    }

    /// The event, unless it was freed. No user code runs while this is borrowed.
    pub(super) fn native(&self) -> Option<Ref<'_, OwnedEvent>> {
        Ref::filter_map(self.native.borrow(), Option::as_ref).ok()
    }

    /// The event, if C may be called with it and its base.
    #[inline]
    pub(super) fn usable(&self, call: &'static str) -> Result<Ref<'_, OwnedEvent>> {
        let Some(event) = self.native() else {
            return Err(freed(call));
        };
        self.base.borrow().usable(call)?;
        Ok(event)
    }

    /// Whether any of `flags` is pending or active; nothing of a freed event or base is.
    pub(super) fn pends(&self, flags: EventFlags) -> bool {
        let freed = self.base.borrow().is_freed();
        let mut flags = flags;
        if self.timeless.get() {
            flags.remove(EventFlags::TIMEOUT);
        }
        !freed && self.native().is_some_and(|event| event.pends(flags))
    }

    /// After a callback: an event that is no longer pending leaves its base's lists. Returns the
    /// handle that the base kept, for the caller to drop.
    #[inline]
    pub(crate) fn settle(&self) -> Option<Box<dyn Any>> {
        if !self.enlisted.get() && !self.detached.get() {
            return None;
        }
        self.leave_lists()
    }

    #[cold]
    fn leave_lists(&self) -> Option<Box<dyn Any>> {
        if self.pends(REASONS) {
            return None;
        }
        self.unenlist();
        self.undetach()
    }

    /// Takes the event off its base's list of added signal events.
    #[inline]
    pub(super) fn unenlist(&self) {
        if self.enlisted.get() {
            self.leave_list();
        }
    }

    #[cold]
    fn leave_list(&self) {
        self.enlisted.set(false);
        let mut record = signals::lock();
        self.base().remove_signal(&mut record, self.address());
    }

    /// Returns the handle that the base keeps of a detached event, for the caller to drop.
    #[inline]
    pub(super) fn undetach(&self) -> Option<Box<dyn Any>> {
        if !self.detached.get() {
            return None;
        }
        self.let_go()
    }

    #[cold]
    fn let_go(&self) -> Option<Box<dyn Any>> {
        self.detached.set(false);
        self.base().let_go(self.address())
    }

    /// Frees the event, its closure and its data; harmless a second time.
    pub(super) fn free(&self) {
        let kept = self.undetach();
        let mut ending = Ending::default(); // nothing is borrowed: destructors may run user code
        ending.run(|| self.release());
        if let Some(data) = self.data.take() {
            ending.drop(data);
        }
        if let Some(kept) = kept {
            ending.drop(kept);
        }
        ending.finish();
    }

    /// Ends the event; harmless a second time. In a forked child the base keeps it instead.
    pub(super) fn release(&self) {
        if self.native.borrow().is_none() {
            return;
        }
        self.enlisted.set(false); // the base's list is seen to here
        let base = self.base.borrow();
        if base.is_foreign() {
            self.leave_to(&base);
            return;
        }
        let mut record = self.signum().map(|_| signals::lock());
        // Where it lies: moving it takes longer. Nothing that this drops runs user code.
        *self.native.borrow_mut() = None;
        if let Some(record) = &mut record {
            base.remove_signal(record, self.address());
        }
        drop((record, base)); // nothing is borrowed or locked: destructors may run user code
        self.closure.end(&self.ended);
    }

    #[cold]
    fn leave_to(&self, base: &base::Inner) {
        if let Some(event) = self.native.take() {
            base.adopt(Box::new(Remains {
                event,
                address: self.address(),
                is_signal: self.signum().is_some(),
                closure: self.closure.take(&self.ended),
            }));
        }
    }
}

#[cold]
fn freed(call: &'static str) -> Error {
    Error::Freed {
        call,
        object: "event",
    }
}

impl<C: ?Sized + Closure> Drop for State<C> {
    fn drop(&mut self) {
        if self.native.get_mut().is_none() && self.data.get_mut().is_none() {
            return; // freed before
        }
        let mut ending = Ending::default();
        ending.run(|| self.release());
        if let Some(data) = self.data.take() {
            ending.drop(data);
        }
        ending.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::super::closure::InPlace;
    use super::*;

    fn size_with<F: FnMut(&Event, EventFlags) + 'static>(_closure: &F) -> usize {
        size_of::<Inner<InPlace<F>>>()
    }

    /// The allocator adds a word, and rounds up to two.
    #[test]
    fn an_event_whose_closure_has_a_source_and_a_handle_fits_into_256_bytes() {
        let captured = [Rc::new(()), Rc::new(())];
        let closure = move |_: &Event, _: EventFlags| assert_eq!(captured.len(), 2);
        let counts = 2 * size_of::<usize>();
        assert!(counts + size_with(&closure) + size_of::<usize>() <= 256);
    }
}
