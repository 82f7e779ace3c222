//! What happens in a forked child before anything else runs there.
//!
//! Lends C the fork handler, for the life of the process. Runs no user code.
#![allow(unsafe_code)]

use std::sync::Once;

use super::{generation, signals};

/// Makes every later `fork` of this process known to its bases, whoever calls it.
pub(crate) fn watch_forks() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        // SAFETY: `on_fork_child` may run in a child at once: it adds to an atomic number,
        // tries a lock and sets signal dispositions.
        unsafe { libc::pthread_atfork(None, None, Some(on_fork_child)) };
    });
}

/// # Safety
/// Registered only with `pthread_atfork`, which calls it in the child.
unsafe extern "C" fn on_fork_child() {
    generation::next();
    signals::forked();
}
