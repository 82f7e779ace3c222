//! Sending: answers at once, messages at the end of the turn, the rest when there is room.

use std::io::{self, Write as _};
use std::mem;
use std::rc::Rc;

use super::{Connection, Decoding, Stage};
use crate::app::Takes;
use crate::buffer::Buffer;
use crate::outbox::Part;
use crate::time;
use crate::worker::Messages;
use php_event::Event;

/// Where the batch has gone.
enum Batch {
    /// To the socket.
    Written,
    /// To the end of the outbox.
    Behind,
    /// To the outbox, because the socket has no room for all of it.
    NoRoom,
}

impl Connection {
    /// Writes the batch, after what waits already. True when everything is written and the
    /// connection takes more requests.
    pub(super) fn flush(self: &Rc<Self>) -> bool {
        if self.state.borrow().stage.is_open() {
            self.queue_messages_so_far(); // a message for everyone comes before its own answer
        }
        match self.write_batch() {
            Ok(Batch::Written) => return self.continue_or_end(),
            Ok(Batch::Behind) => {} // `send_queued` or `write_outbox` continues
            Ok(Batch::NoRoom) => self.wait_for_room(),
            Err(error) => {
                tracing::debug!(peer = self.peer(), "writing failed: {error}");
                self.close();
                return false;
            }
        }
        self.count_memory();
        self.worker.limit_memory();
        false
    }

    /// Empties the batch: into the socket, or into the outbox.
    fn write_batch(&self) -> io::Result<Batch> {
        let batch = &mut *self.worker.batch().borrow_mut(); // keeps its memory
        let outbox = &mut self.state.borrow_mut().outbox;
        if !outbox.is_empty() {
            outbox.append(batch);
            return Ok(Batch::Behind);
        }
        match batch.write_to(&self.socket) {
            Ok(_) if batch.is_empty() => Ok(Batch::Written),
            Ok(_) => {
                *outbox = mem::take(batch);
                Ok(Batch::NoRoom)
            }
            Err(error) => {
                drop(mem::take(batch));
                Err(error)
            }
        }
    }

    /// Queues a message, to be sent at the end of this turn of the loop.
    pub(crate) fn queue(self: &Rc<Self>, message: &Rc<Buffer>) {
        self.queue_messages_so_far();
        let first = {
            let state = &mut *self.state.borrow_mut();
            if !state.stage.takes_messages() {
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

    /// Queues the messages that have come for this and other connections until now, so that
    /// something else can follow them.
    pub(crate) fn queue_messages_so_far(self: &Rc<Self>) {
        if self.worker.has_messages() {
            self.worker
                .with_messages(|messages| self.queue_messages(messages));
        }
    }

    /// Queues the messages that have not gone here yet, as separate parts.
    pub(crate) fn queue_messages(self: &Rc<Self>, messages: Messages<'_>) {
        let (count, first) = {
            let state = &mut *self.state.borrow_mut();
            if !state.stage.takes_messages() {
                return;
            }
            let new = messages.since(state.position);
            state.position = state.position.max(messages.end());
            if new.len() > 1 {
                state.outbox.reserve(new.len());
            }
            let mut count = 0;
            for message in new.iter().filter(|message| message.is_for(self.id())) {
                state.outbox.push(Rc::clone(message.bytes()).into());
                count += 1;
            }
            if count == 0 {
                return;
            }
            (count, !mem::replace(&mut state.queued, true))
        };
        self.worker.counters().deliveries.add(count);
        if first {
            self.worker.note_queued(Rc::clone(self));
        }
    }

    /// Queues the message with this number, unless it has gone here before. Those before it have,
    /// or are not for this connection.
    pub(crate) fn queue_message(self: &Rc<Self>, number: u64, message: &Rc<Buffer>) {
        let first = {
            let state = &mut *self.state.borrow_mut();
            if state.position > number || !state.stage.takes_messages() {
                return;
            }
            state.position = number + 1;
            state.outbox.push(Rc::clone(message).into());
            !mem::replace(&mut state.queued, true)
        };
        self.worker.counters().deliveries.add(1);
        if first {
            self.worker.note_queued(Rc::clone(self));
        }
    }

    /// Sends `joined`, which holds these messages, or queues what the socket has no room for.
    /// False when one of them has gone here before: then it does nothing.
    pub(crate) fn send_joined(
        self: &Rc<Self>,
        joined: &Rc<Buffer>,
        messages: Messages<'_>,
    ) -> bool {
        let written = {
            let state = &mut *self.state.borrow_mut();
            if state.position > messages.first() {
                return false;
            }
            if !state.stage.takes_messages() {
                return true;
            }
            state.position = messages.end();
            if state.outbox.is_empty() && !state.outbox.is_blocked() {
                // `send_queued` meets an error again, where the connection can be closed.
                (&self.socket).write(joined).unwrap_or_default()
            } else {
                0
            }
        };
        self.worker.counters().deliveries.add(messages.len());
        if written < joined.len() {
            self.queue_rest(joined, written);
        }
        true
    }

    /// Queues what follows the first `written` bytes of a message.
    #[inline(never)] // most receivers have room for all of it
    fn queue_rest(self: &Rc<Self>, message: &Rc<Buffer>, written: usize) {
        let first = {
            let state = &mut *self.state.borrow_mut();
            let rest = Part::from_offset(Rc::clone(message), written);
            state.outbox.push(rest);
            !mem::replace(&mut state.queued, true)
        };
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
                state.stage == Stage::Closed || state.outbox.is_blocked()
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
                .write_to(&self.socket)
                .map(|written| (written, state.outbox.is_empty()))
        };
        match result {
            Ok((_, true)) => self.outbox_emptied(),
            Ok((written, false)) => {
                if !self.state.borrow().outbox.is_blocked() {
                    self.wait_for_room();
                }
                self.check_lag();
                self.update_deadline(time::now(), written > 0);
            }
            Err(error) => {
                tracing::debug!(peer = self.peer(), "writing failed: {error}");
                self.close();
            }
        }
    }

    /// Continues with what waited for the empty outbox.
    fn outbox_emptied(self: &Rc<Self>) {
        let (outbox, was_full, tell) = {
            let state = &mut *self.state.borrow_mut();
            let was_full = state.decoding == Decoding::OutboxFull;
            if was_full {
                state.decoding = Decoding::Running;
            }
            let tell = mem::take(&mut state.tell_drained);
            (mem::take(&mut state.outbox), was_full, tell)
        };
        let waited = outbox.is_blocked();
        self.worker.note_waiting(outbox.waiting(), 0);
        drop(outbox); // frees its memory: the peer may never be slow again
        if waited {
            self.count_memory();
            self.worker.note_freed();
        }
        if waited || was_full {
            self.update_reading();
        }
        if !self.continue_or_end() {
            self.update_deadline(time::now(), true);
        } else if was_full {
            self.serve(&[]);
        } else if waited {
            self.update_deadline(time::now(), true);
        }
        if tell {
            self.worker.app().drained(&self.worker, self.id());
        }
    }

    /// Adds the write event: it fires when the socket has room.
    fn wait_for_room(self: &Rc<Self>) {
        let event = self.event(Event::WRITE | Event::PERSIST, Self::write_outbox);
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => self.state.borrow_mut().outbox.block(event),
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
        let counted = self.state.borrow_mut().outbox.count_waiting();
        if let Some((before, now)) = counted {
            self.worker.note_waiting(before, now);
        }
    }

    /// Bytes that wait for room in the socket.
    pub(crate) fn waiting(&self) -> usize {
        self.state.borrow().outbox.waiting()
    }

    /// Cuts off a peer that reads its messages too slowly. A peer that receives only answers is
    /// not read from instead.
    fn check_lag(&self) {
        let limit = self.worker.config().max_queue();
        self.note_waiting();
        self.count_memory();
        let waiting = self.waiting();
        if self.worker.takes() != Takes::Requests && waiting > limit {
            self.cut_off("the reader lags past --max-queue", waiting);
        }
    }

    /// Ends a connection for which so many bytes wait.
    pub(crate) fn cut_off(&self, why: &str, waiting: usize) {
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
                if self.socket.end_writing().is_err() {
                    self.close(); // the peer has gone
                }
            }
            Stage::Lingering | Stage::Closed => {}
        }
        false
    }
}
