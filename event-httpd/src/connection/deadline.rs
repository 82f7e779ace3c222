//! What a connection waits for, until when, and what happens then.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Connection, Decoding, Stage, State};
use crate::app::Takes;
use crate::deadlines::Tick;
use http_framing::{Phase, Refusal, Status};

/// How long a peer that has its last answer may keep sending before it is cut off. Closing with
/// unread bytes would reset the connection, and the peer could lose the answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that opened just before the server stops may take to send its request.
/// Its peer has heard nothing yet, and would take a close for a failure.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

const HEAD_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's head did not arrive in the time this server allows",
);
const BODY_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's body did not arrive in the time this server allows",
);

/// The deadline of a connection, and its entry in the worker's deadlines.
#[derive(Debug)]
pub(super) struct Deadline {
    due: Option<Instant>,
    beside: Option<Box<Beside>>,
    entered: Tick, // of the live entry, or `NOT_ENTERED`
}

/// The tick of a connection without a live entry.
const NOT_ENTERED: Tick = Tick::MAX;

impl Default for Deadline {
    fn default() -> Self {
        Self {
            due: None,
            beside: None,
            entered: NOT_ENTERED,
        }
    }
}

/// The bytes of a body that must arrive within each `--header-timeout`, where bodies are kept: a
/// body that trickles holds memory for nothing.
const BODY_STEP: usize = 4 << 10;

/// A deadline besides that of what the connection waits for.
#[derive(Clone, Copy, Debug)]
enum Beside {
    /// The body of a request arrives.
    Body(BodyPace),
    /// The app has set it for a stream.
    App(Instant),
}

/// How fast a body arrives.
#[derive(Clone, Copy, Debug)]
struct BodyPace {
    end: Instant,  // when all of it is due
    length: usize, // at the last step
}

/// What a connection waits for. Each has its own deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// A request.
    #[default]
    Request,
    Head,
    Body,
    Room,
    /// The app's answer to a request, or what it sends to a stream.
    App,
    Close,
}

impl Deadline {
    /// When the app wants to send to a stream again.
    pub(super) fn set_app(&mut self, due: Instant) {
        self.set_beside(Beside::App(due));
    }

    /// The stream ends.
    pub(super) fn end_app(&mut self) {
        self.beside = None;
    }

    fn set_beside(&mut self, beside: Beside) {
        match &mut self.beside {
            Some(old) => **old = beside,
            None => self.beside = Some(Box::new(beside)),
        }
    }

    fn app_due(&self) -> Option<Instant> {
        match self.beside.as_deref() {
            Some(Beside::App(due)) => Some(*due),
            Some(Beside::Body(_)) | None => None,
        }
    }
}

impl State {
    /// Whether the connection has waited for a request, had one, and waits for the next.
    fn waits_for_next_request(&self) -> bool {
        self.stage == Stage::Open
            && self.waits_for == WaitsFor::Request
            && self.deadline.entered != NOT_ENTERED
            && self.deadline.due.is_some()
            && self.deadline.beside.is_none()
            && self.decoding != Decoding::Unanswered
            && !self.outbox.is_blocked()
            && self.input.phase() == Phase::Idle
    }
}

impl Connection {
    /// Sets the deadline for what the connection waits for. `progress` says that it has just made
    /// the progress that the deadline asks for. Without progress, only a change of what it waits
    /// for sets a new deadline, so a byte a second extends nothing.
    #[inline]
    pub(super) fn update_deadline(&self, now: Instant, progress: bool) {
        if !(progress && self.waits_anew(now)) {
            self.set_deadline(now, progress);
        }
    }

    /// Sets the deadline of a connection that waits for its next request, as it did before. False
    /// when it does not.
    fn waits_anew(&self, now: Instant) -> bool {
        let state = &mut *self.state.borrow_mut();
        let anew = state.waits_for_next_request() && !self.worker.is_ending();
        if anew {
            // The live entry fires first and is entered again.
            state.deadline.due = Some(now + self.worker.config().idle_timeout());
        }
        anew
    }

    fn set_deadline(&self, now: Instant, progress: bool) {
        let config = self.worker.config();
        let state = &mut *self.state.borrow_mut();
        let waits_for = match (state.stage, state.input.phase()) {
            (Stage::Closed, _) => return,
            (Stage::Lingering, _) => WaitsFor::Close,
            _ if state.outbox.is_blocked() => WaitsFor::Room,
            (Stage::Stream | Stage::Upgraded, _) => WaitsFor::App,
            _ if state.decoding == Decoding::Unanswered => WaitsFor::App,
            (_, Phase::Idle) => WaitsFor::Request,
            (_, Phase::Head) => WaitsFor::Head,
            (_, Phase::Body) => WaitsFor::Body,
        };
        let deadline = &mut state.deadline;
        if progress || waits_for != state.waits_for {
            state.waits_for = waits_for;
            let time = match waits_for {
                WaitsFor::Request if self.worker.takes() == Takes::Reads => None, // may be silent for days
                WaitsFor::Request if self.worker.is_ending() => Some(FIRST_REQUEST),
                WaitsFor::Head => Some(config.header_timeout()),
                WaitsFor::Request | WaitsFor::Body | WaitsFor::Room => Some(config.idle_timeout()),
                WaitsFor::App => None,
                WaitsFor::Close => Some(LINGER),
            };
            deadline.due = time.map(|time| now + time);
            if let Some(Beside::Body(_)) = deadline.beside.as_deref() {
                deadline.beside = None;
            }
        }
        if waits_for == WaitsFor::Body && self.worker.takes().keeps_bodies() {
            let mut pace = match deadline.beside.as_deref() {
                Some(Beside::Body(pace)) => *pace,
                Some(Beside::App(_)) | None => BodyPace {
                    end: now + config.idle_timeout(),
                    length: 0,
                },
            };
            let length = state.input.body_length();
            if pace.length == 0 || length >= pace.length + BODY_STEP {
                pace.length = length.max(1);
                deadline.due = Some(pace.end.min(now + config.header_timeout()));
            }
            deadline.set_beside(Beside::Body(pace));
        }
        let due = match (deadline.due, deadline.app_due()) {
            (Some(due), Some(app)) => Some(due.min(app)),
            (due, app) => due.or(app),
        };
        if let Some(due) = due {
            let tick = self.worker.tick(due);
            if tick < deadline.entered {
                deadline.entered = tick;
                self.worker.enter_deadline(self.id(), tick, now);
            }
        }
    }

    /// The worker's deadlines reached this connection's entry for `tick`.
    pub(crate) fn expired(self: &Rc<Self>, tick: Tick, now: Instant) {
        self.guarded(|connection| connection.expire(tick, now));
    }

    fn expire(self: &Rc<Self>, tick: Tick, now: Instant) {
        let (due, waits_for, app_due, held) = {
            let state = &mut *self.state.borrow_mut();
            let held = state.held || self.worker.is_holding_senders();
            let deadline = &mut state.deadline;
            if deadline.entered != tick {
                return; // an older entry: an earlier deadline was set since
            }
            deadline.entered = NOT_ENTERED;
            (
                deadline.due.is_some_and(|due| due <= now),
                state.waits_for,
                deadline.app_due().is_some_and(|due| due <= now),
                held,
            )
        };
        if app_due {
            self.stream_due(now);
            if !due {
                return;
            }
        }
        if !due || held && waits_for != WaitsFor::Room {
            return self.update_deadline(now, due);
        }
        self.worker.counters().timeouts.add(1);
        match waits_for {
            WaitsFor::Head => self.refuse(HEAD_LATE),
            WaitsFor::Body => self.refuse(BODY_LATE),
            WaitsFor::Request | WaitsFor::Room | WaitsFor::App | WaitsFor::Close => {
                tracing::debug!(peer = self.peer(), "timed out: waited for {waits_for:?}");
                self.close();
            }
        }
    }
}
