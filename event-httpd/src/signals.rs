//! The signals of this process: what it inherits of them, and when a second one counts.
//!
//! All commands treat them alike. A signal that was blocked by whoever started the process is
//! unblocked. A SIGHUP that was ignored, as `nohup` does it, stays ignored. Every other handled
//! signal is handled even if it was ignored: shells start background jobs with SIGINT and SIGQUIT
//! ignored, and whoever sends one means this server.

use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use php_event::process::signal_is_ignored;

/// A second signal to stop counts as another request this long after the first. Before that, it
/// is the same request on another way: GNU `timeout` sends SIGTERM to its child and then to the
/// whole group.
const SECOND: Duration = Duration::from_secs(1);

/// The signals that the commands have events for.
pub(crate) fn handled() -> SigSet {
    use Signal::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    SigSet::from_iter([SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
}

/// Lets through the handled signals, which may have been blocked when the process started.
pub(crate) fn unblock() {
    handled().thread_unblock().ok(); // cannot fail for a valid set
}

/// Holds the handled signals back until [`unblock`].
pub(crate) fn block() {
    handled().thread_block().ok(); // cannot fail for a valid set
}

/// Whether the process was started with SIGHUP ignored, and has to leave it so. Ask before an
/// event for it is added.
pub(crate) fn ignores_hangup() -> bool {
    signal_is_ignored(libc::SIGHUP).unwrap_or(false)
}

/// Whether a signal to stop, `first` having been the first, is another request.
pub(crate) fn counts_again(first: Instant) -> bool {
    first.elapsed() >= SECOND
}
