//! Destructors that may panic.
//!
//! Owns, lends C: nothing. Runs user code: destructors, in [`discard`] and [`Ending`].

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

/// Drops a value and the panic that its destructor ends in.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(payload)));
        dropped.map_err(mem::forget).ok(); // the payload's destructor panics, and so on
    }
}

/// Several destructors, one after the other: a panic in one does not keep the others from
/// running, and a second one does not end the process.
#[must_use = "call finish(), which raises the first panic"]
#[derive(Default)]
pub(crate) struct Ending(Option<Box<dyn Any + Send>>);

impl Ending {
    /// Runs what may run a destructor.
    pub(crate) fn run(&mut self, work: impl FnOnce()) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
            if self.0.is_none() {
                self.0 = Some(payload);
            } else {
                discard(payload);
            }
        }
    }

    pub(crate) fn drop<T>(&mut self, value: T) {
        self.run(|| drop(value));
    }

    /// Drops each of several values.
    pub(crate) fn drop_each<T>(&mut self, values: impl IntoIterator<Item = T>) {
        values.into_iter().for_each(|value| self.drop(value));
    }

    /// Raises the first panic, unless the thread is unwinding from another one.
    pub(crate) fn finish(self) {
        match self.0 {
            Some(payload) if thread::panicking() => discard(payload),
            Some(payload) => resume_unwind(payload),
            None => {}
        }
    }
}
