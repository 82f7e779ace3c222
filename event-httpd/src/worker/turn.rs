//! What one turn of the loop may do for its connections, so that none of them waits long.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::Worker;
use crate::connection::Connection;
use php_event::Event;

/// Bytes of answers after which the remaining connections of a turn get one answer each, and those
/// that pipeline wait for the next turn.
const TURN_BYTES: usize = 64 << 10;

/// Requests of one connection answered in a turn, and bytes of their answers.
const REQUESTS: usize = 512;
const BYTES: usize = 32 << 10;

/// What an answer costs besides its bytes.
const ANSWER_COST: usize = 1 << 10;

/// What has been done in the current turn, and the connections that go on in the next.
#[derive(Default)]
pub(super) struct Turn {
    spent: Cell<usize>,
    yielded: RefCell<VecDeque<Rc<Connection>>>,
    next: OnceCell<Event>, // a timer that is due at once: it fires in the next turn
}

/// What one connection may still do in this turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    requests: usize,
    bytes: usize,
}

impl Budget {
    /// Counts an answer of that many bytes.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.requests = self.requests.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    pub(crate) fn is_spent(self) -> bool {
        self.requests == 0 || self.bytes == 0
    }
}

impl Turn {
    pub(super) fn set_timer(&self, timer: Event) {
        self.next.get_or_init(|| timer);
    }

    fn is_spent(&self) -> bool {
        self.spent.get() >= TURN_BYTES
    }

    /// Begins anew.
    pub(super) fn reset(&self) {
        self.spent.set(0);
    }

    /// Drops the handles of connections that would go on in the next turn.
    pub(super) fn take_yielded(&self) {
        drop(self.yielded.take());
    }
}

impl Worker {
    /// What a connection may do in this turn: at least one answer, unless it `waits` for the next
    /// turn when this one is spent. Otherwise many pipelining connections would use up every turn,
    /// and the others would get one answer in each.
    pub(crate) fn budget(&self, waits: bool) -> Budget {
        let requests = match (self.turn.is_spent(), waits) {
            (false, _) => REQUESTS,
            (true, false) => 1,
            (true, true) => 0,
        };
        Budget {
            requests,
            bytes: BYTES,
        }
    }

    /// Whether connections get one answer each for the rest of this turn.
    pub(crate) fn turn_is_spent(&self) -> bool {
        self.turn.is_spent()
    }

    /// Counts answers of a connection, with that many bytes together.
    pub(crate) fn spend(&self, bytes: usize) {
        self.turn
            .spent
            .set(self.turn.spent.get() + bytes + ANSWER_COST);
        if self.turn.is_spent() {
            self.delivery.end_turn_soon();
        }
    }

    /// Has a connection go on in the next turn. False when that is not possible.
    pub(crate) fn go_on_next_turn(&self, connection: Rc<Connection>) -> bool {
        let armed = self
            .turn
            .next
            .get()
            .is_some_and(|next| next.is_pending() || next.add(Some(Duration::ZERO)).is_ok());
        if armed {
            self.turn.yielded.borrow_mut().push_back(connection);
        }
        armed
    }

    /// Goes on with connections that had spent their budget, as long as this turn's lasts.
    pub(super) fn next_turn(self: &Rc<Self>) {
        let yielded = self.turn.yielded.borrow().len();
        for _ in 0..yielded {
            let next = self.turn.yielded.borrow_mut().pop_front();
            let Some(connection) = next else { break };
            connection.go_on();
            if self.turn.is_spent() {
                break;
            }
        }
        if !self.turn.yielded.borrow().is_empty()
            && let Some(next) = self.turn.next.get()
            && let Err(error) = next.add(Some(Duration::ZERO))
        {
            tracing::error!("{error}");
            self.close_yielded();
        }
    }

    /// Ends the connections that cannot go on.
    fn close_yielded(&self) {
        for connection in self.turn.yielded.take() {
            connection.cut_off("the server cannot go on with it", connection.held());
        }
    }
}
