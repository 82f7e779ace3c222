//! The deadlines of all connections, and the timer that they share.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Worker;
use crate::deadlines::{Deadlines, Tick};
use php_event::Event;

/// The deadlines, and the timer set to the first of them.
#[derive(Debug)]
pub(super) struct Timeouts {
    deadlines: Deadlines,
    timer: OnceCell<Event>,
}

impl Timeouts {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            deadlines: Deadlines::new(began),
            timer: OnceCell::new(),
        }
    }

    pub(super) fn set_timer(&self, timer: Event) {
        self.timer.get_or_init(|| timer);
    }

    fn arm(&self, after: Option<Duration>) {
        if let (Some(timer), Some(_)) = (self.timer.get(), after)
            && let Err(error) = timer.add(after)
        {
            self.deadlines.disarm();
            tracing::error!(
                "the timer of deadlines cannot be set, and is tried again with the next one: {error}"
            );
        }
    }
}

impl Worker {
    /// The tick of a deadline.
    pub(crate) fn tick(&self, due: Instant) -> Tick {
        self.timeouts.deadlines.tick(due)
    }

    /// Enters a deadline for a connection.
    pub(crate) fn enter_deadline(&self, id: u64, tick: Tick, now: Instant) {
        let deadlines = &self.timeouts.deadlines;
        deadlines.prune(self.open_connections(), |id| self.admission.contains(id));
        let after = deadlines.enter(id, tick, now);
        self.timeouts.arm(after);
    }

    pub(super) fn expire_deadlines(self: &Rc<Self>) {
        let now = Instant::now();
        for (tick, id) in self.timeouts.deadlines.expired(now) {
            if let Some(connection) = self.admission.get(id) {
                connection.expired(tick, now);
            }
        }
        self.timeouts.arm(self.timeouts.deadlines.next(now));
    }
}
