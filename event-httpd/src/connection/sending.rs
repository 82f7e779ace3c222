//! Sending: answers at once, messages at the end of the turn, the rest when there is room.

use std::mem;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use super::{Connection, Decoding, Stage};
use crate::app::Takes;
use crate::buffer::Buffer;
use php_event::Event;
use php_event::stream::stream_socket_shutdown;

impl Connection {
    /// Writes the batch, behind what waits already. True when everything is written and the
    /// connection takes more requests.
    pub(super) fn flush(self: &Rc<Self>) -> bool {
        let mut batch = self.worker.batch().take();
        let behind = !self.state.borrow().outbox.is_empty();
        if behind {
            self.state.borrow_mut().outbox.append(&mut batch);
            self.worker.batch().replace(batch); // keeps its memory
            self.count_memory();
            self.worker.limit_memory();
            return false; // `send_queued` or `write_outbox` continues
        }
        if let Err(error) = batch.write_to(&self.stream) {
            tracing::debug!(peer = self.peer(), "writing failed: {error}");
            self.close();
            return false;
        }
        if batch.is_empty() {
            self.worker.batch().replace(batch); // keeps its memory
            return self.continue_or_end();
        }
        self.state.borrow_mut().outbox = batch;
        self.wait_for_room();
        self.count_memory();
        self.worker.limit_memory();
        false
    }

    /// Queues a message, to be sent at the end of this turn of the loop.
    pub(crate) fn queue(self: &Rc<Self>, message: &Rc<Buffer>) {
        let first = {
            let state = &mut *self.state.borrow_mut();
            if !state.stage.is_open() && !state.stage.is_stream() {
                return;
            }
            state.outbox.push(Rc::clone(message).into());
            !mem::replace(&mut state.queued, true)
        };
        self.worker.counters().deliveries.add(1);
        if first {
            self.worker.note_queued(Rc::clone(self));
        }
    }

    /// Sends what was queued in this turn.
    pub(crate) fn send_queued(self: &Rc<Self>) {
        self.guarded(|connection| {
            let waits = {
                let mut state = connection.state.borrow_mut();
                state.queued = false;
                state.stage == Stage::Closed || state.write.is_some()
            };
            if waits {
                connection.check_lag();
            } else {
                connection.write_outbox();
            }
        });
    }

    fn write_outbox(self: &Rc<Self>) {
        let result = {
            let state = &mut *self.state.borrow_mut();
            state
                .outbox
                .write_to(&self.stream)
                .map(|written| (written, state.outbox.is_empty()))
        };
        match result {
            Ok((_, true)) => self.outbox_emptied(),
            Ok((written, false)) => {
                if self.state.borrow().write.is_none() {
                    self.wait_for_room();
                }
                self.check_lag();
                self.update_deadline(Instant::now(), written > 0);
            }
            Err(error) => {
                tracing::debug!(peer = self.peer(), "writing failed: {error}");
                self.close();
            }
        }
    }

    /// Continues with what waited for the empty outbox.
    fn outbox_emptied(self: &Rc<Self>) {
        let (write, outbox, was_full, tell) = {
            let state = &mut *self.state.borrow_mut();
            let was_full = state.decoding == Decoding::OutboxFull;
            if was_full {
                state.decoding = Decoding::Running;
            }
            let tell = mem::take(&mut state.tell_drained);
            (
                state.write.take(),
                mem::take(&mut state.outbox),
                was_full,
                tell,
            )
        };
        let waited = write.is_some();
        drop((write, outbox)); // frees their memory: the peer may never be slow again
        if waited {
            self.note_waiting();
            self.count_memory();
            self.worker.note_freed();
        }
        if waited || was_full {
            self.update_reading();
        }
        if !self.continue_or_end() {
            self.update_deadline(Instant::now(), true);
        } else if was_full {
            self.serve(&[]);
        } else if waited {
            self.update_deadline(Instant::now(), true);
        }
        if tell {
            self.worker.app().drained(&self.worker, self.id());
        }
    }

    /// Adds the write event: it fires when the socket has room.
    fn wait_for_room(self: &Rc<Self>) {
        let event = self.event(
            self.stream.clone(),
            Event::WRITE | Event::PERSIST,
            Self::write_outbox,
        );
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => self.state.borrow_mut().write = Some(event),
            Err(error) => {
                tracing::error!(peer = self.peer(), "cannot wait for room: {error}");
                return self.close();
            }
        }
        self.note_waiting();
        self.update_reading();
    }

    /// Tells the worker how many bytes wait here.
    pub(super) fn note_waiting(&self) {
        let state = &mut *self.state.borrow_mut();
        let now = if state.stage == Stage::Closed {
            0
        } else {
            state.outbox.len()
        };
        let before = mem::replace(&mut state.waiting, now);
        self.worker.note_waiting(before, now);
    }

    /// Bytes that wait for room in the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.state.borrow().waiting
    }

    /// Cuts off a peer that reads its messages too slowly. A peer that receives only answers is
    /// not read from instead.
    fn check_lag(&self) {
        let limit = self.worker.config().max_queue();
        self.note_waiting();
        self.count_memory();
        if self.worker.takes() != Takes::Requests && self.waiting() > limit {
            self.cut_off("the reader lags past --max-queue");
        }
    }

    /// Ends a connection that reads too slowly.
    pub(crate) fn cut_off(&self, why: &str) {
        let waiting = self.waiting();
        tracing::warn!(
            id = self.id(),
            peer = self.peer(),
            waiting,
            "cut off: {why}"
        );
        self.worker.counters().evictions.add(1);
        self.close();
    }

    /// Everything is written: ends a connection that has its last answer. True when the
    /// connection takes more requests.
    pub(super) fn continue_or_end(&self) -> bool {
        let (stage, decoding) = {
            let state = self.state.borrow();
            (state.stage, state.decoding)
        };
        if decoding == Decoding::Unanswered {
            return false; // its last answer may be the one that is missing
        }
        match stage {
            Stage::New | Stage::Open => return true,
            Stage::Stream | Stage::Upgraded => {}
            Stage::Last => self.close(),
            Stage::LastThenLinger => {
                self.state.borrow_mut().stage = Stage::Lingering;
                if stream_socket_shutdown(&self.stream, Shutdown::Write).is_err() {
                    self.close(); // the peer has gone
                }
            }
            Stage::Lingering | Stage::Closed => {}
        }
        false
    }
}
