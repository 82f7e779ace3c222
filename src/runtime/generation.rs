//! How many forks this process descends from.
//!
//! Owns: that count. Lends C nothing, runs no user code.

use std::sync::atomic::{AtomicU32, Ordering};

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// A number that differs between a process and its forked child. Comparing it costs a load;
/// asking for the process number costs a system call.
#[inline]
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Counts a fork, in the child.
pub(super) fn next() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
