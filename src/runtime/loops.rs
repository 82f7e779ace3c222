//! How deep this thread is in loops.
//!
//! Owns: that depth. Lends C nothing, runs no user code.

use std::cell::Cell;

thread_local! {
    static LOOPS: Cell<usize> = const { Cell::new(0) };
}

/// Whether this thread is inside a loop, that is, whether the caller is a callback.
pub(crate) fn in_loop() -> bool {
    LOOPS.get() > 0
}

/// Counts a running loop, for as long as it lives.
pub(crate) struct LoopScope(());

impl LoopScope {
    pub(crate) fn enter() -> Self {
        LOOPS.set(LOOPS.get() + 1);
        Self(())
    }
}

impl Drop for LoopScope {
    fn drop(&mut self) {
        LOOPS.set(LOOPS.get() - 1);
    }
}
