//! The place of a user's closure.
//!
//! Owns: the closure. Lends C nothing. Runs user code: the closure, in [`Slot::call`].

use std::cell::Cell;
use std::mem;
use std::num::NonZeroU64;
use std::thread;

use super::discard;

/// What became of a call of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Called {
    /// The closure ran.
    Ran,
    /// The closure is running further up the stack, and is not entered again.
    Busy,
    /// There is no closure.
    Unset,
}

/// A user's closure that may replace or drop its own slot while it runs.
pub(crate) struct Slot<F: ?Sized> {
    f: Cell<Option<Box<F>>>,
    edits: Cell<NonZeroU64>, // `call` puts the closure back only if `set` has not moved this
    running: Cell<Option<NonZeroU64>>, // `edits` at the start of the innermost call that is running
}

impl<F: ?Sized> Slot<F> {
    pub(crate) fn new(f: Box<F>) -> Self {
        Self {
            f: Cell::new(Some(f)),
            edits: Cell::new(NonZeroU64::MIN),
            running: Cell::new(None),
        }
    }

    /// A slot whose closure is set later.
    pub(crate) fn empty() -> Self {
        Self {
            f: Cell::new(None),
            edits: Cell::new(NonZeroU64::MIN),
            running: Cell::new(None),
        }
    }

    /// Replaces the closure and returns the old one. The caller drops it when nothing is
    /// borrowed: destructors of captured values may run user code.
    #[must_use]
    pub(crate) fn set(&self, f: Option<Box<F>>) -> Option<Box<F>> {
        self.edits.set(self.edits.get().saturating_add(1));
        self.f.replace(f)
    }

    /// Runs the closure with nothing borrowed. A closure that is running is not entered again:
    /// the inner call does nothing.
    #[inline]
    pub(crate) fn call(&self, run: impl FnOnce(&mut F)) -> Called {
        let edits = self.edits.get();
        let Some(f) = self.f.take() else {
            return match self.running.get() == Some(edits) {
                true => Called::Busy,
                false => Called::Unset,
            };
        };
        let mut taken = PutBack {
            slot: self,
            edits,
            outer: self.running.replace(Some(edits)),
            f: Some(f),
        };
        if let Some(f) = taken.f.as_mut() {
            run(f);
        }
        taken.end();
        mem::forget(taken); // it is empty now, and has no more to do
        Called::Ran
    }
}

/// Puts a closure back when its call ends, by a panic too.
struct PutBack<'a, F: ?Sized> {
    slot: &'a Slot<F>,
    edits: NonZeroU64,
    outer: Option<NonZeroU64>, // the `running` of the call around this one
    f: Option<Box<F>>,
}

impl<F: ?Sized> Drop for PutBack<'_, F> {
    #[cold]
    fn drop(&mut self) {
        self.end();
    }
}

impl<F: ?Sized> PutBack<'_, F> {
    #[inline(always)] // where no panic passes it costs least
    fn end(&mut self) {
        self.slot.running.set(self.outer);
        if self.slot.edits.get() == self.edits {
            self.slot.f.set(self.f.take());
        } else {
            self.drop_closure();
        }
    }

    #[cold]
    fn drop_closure(&mut self) {
        let replaced = self.f.take();
        if thread::panicking() {
            discard(replaced); // a second panic would end the process
        } else {
            drop(replaced);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_slot_is_unset_and_a_running_one_is_busy() {
        let slot: Slot<dyn FnMut()> = Slot::empty();
        assert_eq!(slot.call(|f| f()), Called::Unset);
        drop(slot.set(Some(Box::new(|| ()))));
        let ran = slot.call(|f| {
            f();
            assert_eq!(slot.call(|f| f()), Called::Busy);
        });
        assert_eq!(ran, Called::Ran);
        assert_eq!(slot.call(|f| f()), Called::Ran);
    }

    #[test]
    fn a_slot_that_its_running_closure_empties_is_unset_and_a_new_closure_runs() {
        let slot: Slot<dyn FnMut()> = Slot::new(Box::new(|| ()));
        let ran = slot.call(|_| {
            drop(slot.set(None));
            assert_eq!(slot.call(|f| f()), Called::Unset);
            drop(slot.set(Some(Box::new(|| ()))));
            let inner = slot.call(|_| assert_eq!(slot.call(|f| f()), Called::Busy));
            assert_eq!(inner, Called::Ran);
        });
        assert_eq!(ran, Called::Ran);
        assert_eq!(slot.call(|f| f()), Called::Ran);
    }
}
