//! The deadlines of all connections, and the alarm that they share.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Worker;
use crate::deadlines::{Deadlines, Tick};
use crate::time::{self, Alarm};

/// The deadlines, and the alarm set to the first of them.
#[derive(Debug)]
pub(super) struct Timeouts {
    deadlines: Deadlines,
    alarm: OnceCell<Alarm>,
}

impl Timeouts {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            deadlines: Deadlines::new(began),
            alarm: OnceCell::new(),
        }
    }

    pub(super) fn set_alarm(&self, alarm: Alarm) {
        self.alarm.get_or_init(|| alarm);
    }

    fn arm(&self, after: Option<Duration>) {
        if let (Some(alarm), Some(after)) = (self.alarm.get(), after)
            && let Err(error) = alarm.set(after)
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
        let now = time::now();
        for (tick, id) in self.timeouts.deadlines.expired(now) {
            if let Some(connection) = self.admission.get(id) {
                connection.expired(tick, now);
            }
        }
        self.timeouts.arm(self.timeouts.deadlines.next(now));
    }
}
