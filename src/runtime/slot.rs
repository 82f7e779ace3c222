//! The place of a user's closure.
//!
//! Owns: the closure. Lends C nothing. Runs user code: the closure, in [`Slot::call`].

use std::cell::{Cell, RefCell};
use std::thread;

use super::discard;

/// A user's closure that may replace or drop its own slot while it runs.
pub(crate) struct Slot<F: ?Sized> {
    f: RefCell<Option<Box<F>>>,
    edits: Cell<u64>, // `call` puts the closure back only if `set` has not moved this
}

impl<F: ?Sized> Slot<F> {
    pub(crate) fn new(f: Box<F>) -> Self {
        Self {
            f: RefCell::new(Some(f)),
            edits: Cell::new(0),
        }
    }

    /// A slot whose closure is set later.
    pub(crate) fn empty() -> Self {
        Self {
            f: RefCell::new(None),
            edits: Cell::new(0),
        }
    }

    /// Replaces the closure and returns the old one. The caller drops it when nothing is
    /// borrowed: destructors of captured values may run user code.
    #[must_use]
    pub(crate) fn set(&self, f: Option<Box<F>>) -> Option<Box<F>> {
        self.edits.set(self.edits.get() + 1);
        self.f.replace(f)
    }

    /// Runs the closure with nothing borrowed, and tells whether it ran. A closure that is
    /// running is not entered again: the inner call does nothing.
    pub(crate) fn call(&self, run: impl FnOnce(&mut F)) -> bool {
        let Some(f) = self.f.take() else { return false };
        let mut taken = PutBack {
            slot: self,
            edits: self.edits.get(),
            f: Some(f),
        };
        if let Some(f) = taken.f.as_mut() {
            run(f);
        }
        true
    }
}

/// Puts a closure back when its call ends, by a panic too.
struct PutBack<'a, F: ?Sized> {
    slot: &'a Slot<F>,
    edits: u64,
    f: Option<Box<F>>,
}

impl<F: ?Sized> Drop for PutBack<'_, F> {
    fn drop(&mut self) {
        if self.slot.edits.get() == self.edits {
            self.slot.f.replace(self.f.take());
        } else if thread::panicking() {
            discard(self.f.take()); // a second panic would end the process
        }
    }
}
