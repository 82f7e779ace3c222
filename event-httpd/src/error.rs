//! Why the server fails: each error prints as one line on standard error.

use std::io;

use php_event::process::Exit;

/// Why the server could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}: {cause}{remedy}")]
    Listen {
        /// The address as it was given.
        address: String,
        /// The system's reason.
        cause: String,
        /// What to do about it, where that is known.
        remedy: &'static str,
    },
    /// This process is a worker that failed. The log says why.
    #[error("the worker failed")]
    Worker,
    /// No worker could start.
    #[error(
        "the workers cannot start: {failed} in a row failed before they accepted, the last with {last}"
    )]
    Workers {
        /// How many starts failed in a row.
        failed: u32,
        /// Why the last one did.
        last: StartFailure,
    },
    /// Not every child could be forked. Those that were forked have ended again.
    #[error("only {started} of {wanted} children could be forked: {cause}{remedy}")]
    Fork {
        /// How many were forked.
        started: u32,
        /// How many were asked for.
        wanted: u32,
        /// The system's reason.
        cause: php_event::Error,
        /// What to do about it, where that is known.
        remedy: &'static str,
    },
    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    /// The event loop or an event failed.
    #[error(transparent)]
    Event(#[from] php_event::Error),
}

impl ServerError {
    /// Whether the log has the reason already.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Worker)
    }
}

/// Why a worker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// The process could not be made.
    #[error(transparent)]
    Fork(#[from] php_event::Error),
    /// The process ended before it accepted connections.
    #[error("{0}")]
    Ended(Exit),
}
