//! The closure of an event, in the event's own memory.
//!
//! Owns: the closure. Lends C nothing. Runs user code: the closure, in [`Closure::call`]; the
//! destructor of what it captured, in the other methods, when nothing else is borrowed.

use std::cell::{Cell, OnceCell, RefCell, RefMut};
use std::thread;

use super::Event;
use crate::flags::EventFlags;
use crate::runtime::{Slot, discard};

pub(super) type Callback = dyn FnMut(&Event, EventFlags);

/// A closure that may replace, end or call itself while it runs. One that is running is not
/// entered again: the inner call does nothing.
///
/// `ended` is a flag of the event, which has room for it: whether the closure that the event was made
/// with is dropped when it has returned.
pub(crate) trait Closure {
    fn call(&self, event: &Event, what: EventFlags);

    /// Puts another closure in its place. The former one is dropped, or when it has returned.
    fn replace(&self, by: Box<Callback>, ended: &Cell<bool>);

    /// Drops the closure, or when it has returned.
    fn end(&self, ended: &Cell<bool>);

    /// Returns the closure, unless it is running: then it is dropped when it has returned.
    fn take(&self, ended: &Cell<bool>) -> Option<Box<Callback>>;
}

/// The closure that has replaced what an event was made with, if [`Event::set`] was called.
#[derive(Default)]
pub(super) struct Later(OnceCell<Box<Slot<Callback>>>);

impl Later {
    /// Calls it. False if nothing was replaced.
    #[inline]
    pub(super) fn call(&self, event: &Event, what: EventFlags) -> bool {
        let Some(later) = self.0.get() else {
            return false;
        };
        later.call(|f| f(event, what));
        true
    }

    /// Puts a closure in its place, and returns the former one.
    pub(super) fn set(&self, by: Box<Callback>) -> Option<Box<Callback>> {
        let later = self.0.get_or_init(|| Box::new(Slot::empty()));
        later.set(Some(by))
    }

    /// Returns it, unless it is running: then it is dropped when it has returned.
    pub(super) fn take(&self) -> Option<Box<Callback>> {
        self.0.get()?.set(None)
    }
}

/// The closure that an event was made with, and the one that may have replaced it.
pub(super) struct InPlace<F> {
    first: RefCell<Option<F>>, // borrowed while it runs
    later: Later,
}

impl<F> InPlace<F> {
    pub(super) fn new(f: F) -> Self {
        Self {
            first: RefCell::new(Some(f)),
            later: Later::default(),
        }
    }

    /// Returns the first closure, unless it is running.
    fn take_first(&self, ended: &Cell<bool>) -> Option<F> {
        ended.set(true);
        self.first.try_borrow_mut().ok()?.take()
    }
}

impl<F: FnMut(&Event, EventFlags) + 'static> Closure for InPlace<F> {
    #[inline(always)] // into its one caller, the entry point for this kind of closure
    fn call(&self, event: &Event, what: EventFlags) {
        if self.later.call(event, what) {
            return;
        }
        let Ok(f) = self.first.try_borrow_mut() else {
            return;
        };
        let mut running = Running {
            f,
            ended: &event.0.ended,
        };
        if let Some(f) = running.f.as_mut() {
            f(event, what);
        }
    }

    fn replace(&self, by: Box<Callback>, ended: &Cell<bool>) {
        let former = (self.later.set(by), self.take_first(ended));
        drop(former); // nothing is borrowed
    }

    fn end(&self, ended: &Cell<bool>) {
        drop(self.later.take());
        drop(self.take_first(ended));
    }

    fn take(&self, ended: &Cell<bool>) -> Option<Box<Callback>> {
        if let Some(former) = self.later.take() {
            return Some(former);
        }
        Some(Box::new(self.take_first(ended)?))
    }
}

/// Drops a first closure that was ended while it ran, after a panic too.
struct Running<'a, F> {
    f: RefMut<'a, Option<F>>,
    ended: &'a Cell<bool>,
}

impl<F> Drop for Running<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if self.ended.get() {
            self.drop_closure();
        }
    }
}

impl<F> Running<'_, F> {
    #[cold]
    fn drop_closure(&mut self) {
        // Borrowed still: the closure's destructor can reach the event, whose closure is then
        // running, as it was.
        let ended = self.f.take();
        if thread::panicking() {
            discard(ended); // a second panic would end the process
        } else {
            drop(ended);
        }
    }
}
