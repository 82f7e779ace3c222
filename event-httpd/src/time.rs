//! The clock of connections, of their deadlines, and of the store in Redis.
//!
//! It is reached through this module alone, so that fuzzing can put a clock in its place that is
//! moved by hand.

use std::time::{Duration, Instant};

use php_event::{Event, Result};

/// The current time.
#[inline(always)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A timer.
#[derive(Debug)]
pub(crate) struct Alarm(Event);

impl Alarm {
    /// One that fires this timer event.
    pub(crate) fn new(timer: Event) -> Self {
        Self(timer)
    }

    /// Sets it to fire after this time. What it was set to before is dropped.
    ///
    /// # Errors
    /// The library's, when the event cannot be added.
    pub(crate) fn set(&self, after: Duration) -> Result<()> {
        self.0.add(Some(after))
    }

    /// Whether it is set and has not fired.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_pending()
    }

    /// Lets go of its event. It never fires again.
    pub(crate) fn free(&self) {
        self.0.free();
    }
}
