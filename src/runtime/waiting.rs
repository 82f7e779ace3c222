//! What waits on this thread for a frame that has no C frame in the middle of its work above it: a
//! failure, or texts of libevent's; and whether that C frame checks its allocations. One look tells a
//! callback that there is nothing of it.
//!
//! Owns: a flag for each. Lends C nothing, runs no user code.

use std::cell::Cell;

thread_local! {
    static WAITING: Cell<u8> = const { Cell::new(0) };
}

/// Whether anything waits.
#[inline]
pub(super) fn any() -> bool {
    WAITING.get() != 0
}

/// What may wait.
#[derive(Clone, Copy)]
pub(super) enum Waiting {
    /// A panic or another failure, for `guard::resume`.
    Failure = 1,
    /// Texts, for `log::flush`.
    Texts = 2,
    /// The end of C code that does not check its allocations, for `memory::unchecked`.
    Unchecked = 4,
}

impl Waiting {
    #[inline]
    pub(super) fn is(self) -> bool {
        WAITING.get() & self as u8 != 0
    }

    pub(super) fn begin(self) {
        WAITING.set(WAITING.get() | self as u8);
    }

    pub(super) fn end(self) {
        WAITING.set(WAITING.get() & !(self as u8));
    }
}
