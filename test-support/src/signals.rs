//! Signals, of which a process has one set.

use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigAction, Signal, sigaction};

/// The right to use signals: a process has one set of them, and tests share the process.
pub fn signals_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets what the process does on a signal, and tells what it did before.
#[allow(unsafe_code, reason = "nix cannot know what a handler does")]
pub fn set_disposition(signal: Signal, action: &SigAction) -> SigAction {
    // SAFETY: the tests give the two dispositions without a handler, and such as were in
    // place before.
    unsafe { sigaction(signal, action) }.unwrap()
}
