//! A worker's slot: how its last workers fared, and when the next one starts.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use php_event::Event;

/// The second quick failure in a row delays the restart by this, each further one by twice as
/// much as the one before, up to [`DELAY_MAX`].
const DELAY: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(5);

/// One of the places that the master keeps filled with a worker.
#[derive(Debug, Default)]
pub(super) struct Slot {
    quick_failures: Cell<u32>,
    restart: OnceCell<Event>,
}

impl Slot {
    pub(super) fn set_timer(&self, timer: Event) {
        self.restart.get_or_init(|| timer);
    }

    /// Whether its next worker waits for its start.
    pub(super) fn is_delayed(&self) -> bool {
        self.restart.get().is_some_and(Event::is_pending)
    }

    /// A worker lived long enough: the next failure counts as the first.
    pub(super) fn forget_failures(&self) {
        self.quick_failures.set(0);
    }

    /// Counts a quick failure. Returns how long the next start has to wait.
    pub(super) fn count_failure(&self) -> Duration {
        let failures = self.quick_failures.get().saturating_add(1);
        self.quick_failures.set(failures);
        match failures {
            0 | 1 => Duration::ZERO,
            more => DELAY.saturating_mul(1 << (more - 2).min(16)).min(DELAY_MAX),
        }
    }

    /// Starts the next worker after `delay`.
    pub(super) fn schedule(&self, delay: Duration) -> php_event::Result<()> {
        self.restart
            .get()
            .map_or(Ok(()), |restart| restart.add(Some(delay)))
    }

    /// Starts no other worker.
    pub(super) fn cancel(&self) -> php_event::Result<()> {
        self.restart.get().map_or(Ok(()), Event::del)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_delayed_longer_with_each_failure_up_to_the_limit() {
        let slot = Slot::default();
        let delays = [(); 10].map(|()| slot.count_failure().as_millis());
        assert_eq!(
            delays,
            [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]
        );
        slot.forget_failures();
        assert_eq!(slot.count_failure(), Duration::ZERO);
    }
}
