//! Waiting: what a connection waits for, until when, and what happens then.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Connection, Stage};
use crate::app::Takes;
use crate::deadlines::Tick;
use http_framing::{Phase, Refusal, Status};

/// How long a peer that got its last answer may go on sending before it is cut off; closing
/// with bytes unread would reset the connection, and the answer could be lost (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that was made just before the server stops may take to begin its
/// request: the peer has heard nothing yet, and a close would look like a failure.
const FIRST: Duration = Duration::from_secs(1);

const HEAD_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's head did not arrive in the time this server allows",
);
const BODY_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's body did not arrive in the time this server allows",
);

/// What a connection waits for: each has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    Request,
    Head,
    Body,
    Room,
    Close,
}

impl Connection {
    /// Sets the deadline for what the connection waits for now. `anew` when it made the
    /// progress that the deadline is about; otherwise only a change of what it waits for
    /// sets a new one, so that a byte a second holds nothing.
    pub(super) fn watch(&self, now: Instant, anew: bool) {
        let config = self.worker.config();
        let state = &mut *self.state.borrow_mut();
        let waits_for = match (state.stage, state.decoder.phase()) {
            (Stage::Closed, _) => return,
            (Stage::Lingering, _) => WaitsFor::Close,
            _ if state.write.is_some() => WaitsFor::Room,
            (_, Phase::Idle) => WaitsFor::Request,
            (_, Phase::Head) => WaitsFor::Head,
            (_, Phase::Body) => WaitsFor::Body,
        };
        if anew || waits_for != state.waits_for {
            state.waits_for = waits_for;
            let time = match waits_for {
                WaitsFor::Request if self.worker.takes() == Takes::Reads => None, // silent for days
                WaitsFor::Request if self.worker.is_stopping() => Some(FIRST),
                WaitsFor::Head => Some(config.header_timeout),
                WaitsFor::Request | WaitsFor::Body | WaitsFor::Room => Some(config.idle_timeout),
                WaitsFor::Close => Some(LINGER),
            };
            state.due = time.map(|time| now + time);
        }
        if let Some(due) = state.due
            && state.entered.is_none_or(|entered| due < entered)
        {
            state.entered = Some(due);
            self.worker.enter_deadline(self.id(), due, now);
        }
    }

    /// The worker's deadlines came to this connection's entry for `tick`.
    pub(crate) fn expired(self: &Rc<Self>, tick: Tick, now: Instant) {
        self.guarded(|connection| connection.expire(tick, now));
    }

    fn expire(self: &Rc<Self>, tick: Tick, now: Instant) {
        let (due, waits_for) = {
            let mut state = self.state.borrow_mut();
            if state.entered.map(|entered| self.worker.tick(entered)) != Some(tick) {
                return; // an entry from before an earlier deadline was set
            }
            state.entered = None;
            (state.due.is_some_and(|due| due <= now), state.waits_for)
        };
        if !due || self.worker.is_holding() && waits_for != WaitsFor::Room {
            return self.watch(now, due);
        }
        self.worker.counters().timeouts.add(1);
        match waits_for {
            WaitsFor::Head => self.refuse(HEAD_LATE),
            WaitsFor::Body => self.refuse(BODY_LATE),
            WaitsFor::Request | WaitsFor::Room | WaitsFor::Close => {
                tracing::debug!(peer = self.peer(), "timed out waiting for {waits_for:?}");
                self.close();
            }
        }
    }
}
