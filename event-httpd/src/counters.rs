//! What a worker counts, and the log line that shows it.

use std::cell::Cell;

use crate::app::Holdings;
use crate::log;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What one worker has counted since its start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections accepted.
    pub(crate) connections: Counter,
    /// Requests answered with the app's answer.
    pub(crate) requests: Counter,
    /// Messages received from this worker's connections.
    pub(crate) messages: Counter,
    /// Copies of messages queued to this worker's connections.
    pub(crate) deliveries: Counter,
    /// Readers cut off because they lagged too far behind.
    pub(crate) evictions: Counter,
    /// Requests refused with an error status.
    pub(crate) refusals: Counter,
    /// Connections closed by a deadline.
    pub(crate) timeouts: Counter,
    /// Connections closed because their code panicked.
    pub(crate) panics: Counter,
    /// How often the store of a hub was lost.
    pub(crate) store_losses: Counter,
    /// How often updates were missing in the store, so that subscribers had to connect again.
    pub(crate) gaps: Counter,
    /// How often accepting paused, at the descriptor limit or `--max-connections`.
    pub(crate) pauses: Counter,
}

impl Counters {
    /// Logs all of them in one line.
    pub(crate) fn log(&self, open: usize, accepting: bool, queue_bytes: usize, held: Holdings) {
        tracing::info!(
            connections = self.connections.get(),
            open,
            accepting,
            requests = self.requests.get(),
            messages = self.messages.get(),
            deliveries = self.deliveries.get(),
            evictions = self.evictions.get(),
            queue_bytes,
            subscribers = held.subscribers,
            subscriptions = held.subscriptions,
            store_waits = held.store_waits,
            refusals = self.refusals.get(),
            timeouts = self.timeouts.get(),
            panics = self.panics.get(),
            store_losses = self.store_losses.get(),
            gaps = self.gaps.get(),
            pauses = self.pauses.get(),
            log_dropped = log::dropped(),
            "counters"
        );
    }
}
