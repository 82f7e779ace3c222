//! One peer: its read event for life, its write event while bytes wait, and its requests.
//!
//! Received bytes go through the decoder, or to the app as they are. Answers to one read leave
//! together, and so do the messages of one turn of the loop. What the socket does not take waits
//! in the outbox. A peer that receives only answers is not read from meanwhile; a peer that also
//! receives messages is cut off when it lags too far.

mod deadline;
mod input;
mod requests;
mod sending;
mod socket;
mod stream;
mod usual;

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::io::{self, Read as _};
use std::mem;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use crate::app::{Parting, Takes};
use crate::config::READ_BUFFER;
use crate::outbox::Outbox;
use crate::time;
use crate::worker::Worker;
use deadline::{Deadline, WaitsFor};
use http_framing::{Phase, Refusal, Status};
use input::Input;
pub(crate) use input::SpareInput;
use php_event::stream::Stream;
use php_event::{Event, EventFlags, Result};
use socket::Socket;

const PANICKED: Refusal = Refusal::new(
    Status::InternalServerError,
    "the server failed on this request",
);

/// A connection. Its worker and its events hold it until it closes.
pub(crate) struct Connection {
    socket: Socket,
    worker: Rc<Worker>,
    read: OnceCell<Event>,
    state: RefCell<State>,
}

struct State {
    stage: Stage,
    decoding: Decoding,
    input: Input,
    outbox: Outbox,
    pipelines: bool,     // it had more than one request when it was served last
    queued: bool,        // the worker will send the outbox at the end of this turn
    held: bool,          // it has published, and is not read before the next round begins
    position: u64,       // the messages before this one have gone here, or were not for it
    tell_drained: bool,  // the app wants to know when the outbox is empty
    overhead: usize,     // memory beside shared buffers and body, as the worker counts it
    waits_for: WaitsFor, // what `deadline` is for
    deadline: Deadline,
}

/// How far a connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has arrived yet.
    New,
    /// Takes requests.
    Open,
    /// Sends what the app queues. Drops what arrives.
    Stream,
    /// Sends what the app queues. Passes what arrives to the app.
    Upgraded,
    /// Has its last answer, and closes when that is written.
    Last,
    /// As `Last`, but the peer may still be sending: lingers when the answer is written.
    LastThenLinger,
    /// Has written its last answer. Reads and drops bytes until the peer closes.
    Lingering,
    /// Removed from the worker.
    Closed,
}

impl Stage {
    /// Whether it takes requests.
    fn is_open(self) -> bool {
        matches!(self, Self::New | Self::Open)
    }

    /// Whether it receives what the app queues.
    fn takes_messages(self) -> bool {
        self.is_open() || self.is_stream()
    }

    /// Whether it has an answer without an end.
    fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::Upgraded)
    }
}

/// Whether received bytes are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decoding {
    /// As they arrive.
    Running,
    /// Not before the next turn of the loop: the budget of this one is spent.
    Yielded,
    /// Not before the outbox is empty.
    OutboxFull,
    /// Not before the app has answered the last request.
    Unanswered,
}

impl Connection {
    /// Takes over a stream, and reads it as soon as something arrives.
    pub(crate) fn open(worker: &Rc<Worker>, stream: Stream) -> Result<Rc<Self>> {
        let now = time::now();
        let connection = Rc::new(Self {
            socket: Socket::of(stream)?,
            worker: Rc::clone(worker),
            read: OnceCell::new(),
            state: RefCell::new(State {
                stage: Stage::New,
                decoding: Decoding::Running,
                input: Input::default(),
                outbox: Outbox::default(),
                queued: false,
                held: false,
                position: worker.next_message(), // what came before is not for it
                tell_drained: false,
                overhead: 0,
                pipelines: false,
                waits_for: WaitsFor::default(),
                deadline: Deadline::default(),
            }),
        });
        let read = connection.event(Event::READ | Event::PERSIST, Self::readable)?;
        if !worker.is_holding_senders() {
            read.add(None)?;
        }
        let read = connection.read.get_or_init(|| read);
        worker.app().opened(connection.id(), read);
        connection.update_deadline(now, true);
        tracing::debug!(id = connection.id(), peer = connection.peer(), "connected");
        Ok(connection)
    }

    /// The stream's number.
    pub(crate) fn id(&self) -> u64 {
        self.socket.id()
    }

    /// An event that runs `work`. It holds the connection, which is its source, until it is freed
    /// or its last handle has gone.
    fn event(
        self: &Rc<Self>,
        what: EventFlags,
        work: impl Fn(&Rc<Self>) + 'static,
    ) -> Result<Event> {
        Event::new(
            self.worker.base(),
            Rc::clone(self),
            what,
            move |connection: &Rc<Self>, _what, _event| connection.guarded(&work),
        )
    }

    /// Runs a step so that a panic in it ends only this connection.
    fn guarded(self: &Rc<Self>, step: impl FnOnce(&Rc<Self>)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| step(self))) else {
            return;
        };
        self.worker.counters().panics.add(1);
        tracing::error!(
            peer = self.peer(),
            "the code for a request panicked: {}",
            message(&*panic)
        );
        let answered = catch_unwind(AssertUnwindSafe(|| {
            drop(self.worker.batch().take());
            self.reopen_if_unanswered();
            self.refuse(PANICKED);
        }));
        if answered.is_err() {
            self.close();
        }
    }

    /// Takes requests again if the panic came before the last answer.
    fn reopen_if_unanswered(&self) {
        let state = &mut *self.state.borrow_mut();
        if matches!(state.stage, Stage::Last | Stage::LastThenLinger) && state.outbox.is_empty() {
            state.stage = Stage::Open;
        }
    }

    /// The address of the peer; `None` on a unix socket.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.socket.address()
    }

    fn peer(&self) -> String {
        let peer = self.socket.peer();
        peer.unwrap_or_else(|| format!("stream {}", self.id()))
    }

    fn readable(self: &Rc<Self>) {
        if self.state.borrow().decoding == Decoding::Yielded {
            // It goes on with what it has read first. Until then the loop would call this in
            // every turn.
            return self.update_reading();
        }
        if self.worker.is_behind() {
            return self.worker.hold(self);
        }
        let mut buffer = self.worker.read_buffer();
        match (&self.socket).read(&mut buffer) {
            Ok(0) => self.close(),
            Ok(n) => self.received(buffer.get(..n).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::debug!(peer = self.peer(), "reading failed: {error}");
                self.close();
            }
        }
    }

    fn received(self: &Rc<Self>, bytes: &[u8]) {
        let (upgraded, unanswered) = {
            let state = &mut *self.state.borrow_mut();
            match state.stage {
                Stage::New | Stage::Open => state.stage = Stage::Open,
                Stage::Upgraded => {}
                _ => return, // it has its last answer
            }
            let unanswered = state.decoding == Decoding::Unanswered;
            (state.stage == Stage::Upgraded, unanswered)
        };
        self.worker.echo(bytes);
        if upgraded || self.worker.takes() == Takes::Reads {
            self.worker.received(self.id(), bytes);
        } else if unanswered {
            self.keep_unread(bytes);
        } else if !self.serve_usual(bytes) {
            self.serve(bytes);
        }
    }

    /// The worker holds senders back, or no longer does. Deadlines start anew then, because the
    /// peer was not read meanwhile.
    pub(crate) fn senders_held(self: &Rc<Self>, hold: bool) {
        self.update_reading();
        if !hold {
            self.update_deadline(time::now(), true);
        }
    }

    /// Stops reading until [`release`](Self::release). False if it is not read already.
    pub(crate) fn hold(self: &Rc<Self>) -> bool {
        let held = mem::replace(&mut self.state.borrow_mut().held, true);
        if held {
            return false;
        }
        self.update_reading();
        true
    }

    /// Reads again.
    pub(crate) fn release(self: &Rc<Self>) {
        self.state.borrow_mut().held = false;
        self.update_reading();
    }

    /// Reads, unless too much waits to be written or the worker holds senders back.
    pub(crate) fn update_reading(self: &Rc<Self>) {
        let Some(read) = self.read.get() else { return };
        let on = {
            let state = self.state.borrow();
            let answers_wait = self.worker.takes() == Takes::Requests && state.outbox.is_blocked();
            let has_enough = match state.decoding {
                Decoding::Running => false,
                Decoding::Yielded | Decoding::OutboxFull => true,
                Decoding::Unanswered => state.input.unread().len() >= READ_BUFFER,
            };
            state.stage != Stage::Closed
                && !answers_wait
                && !has_enough
                && !state.held
                && !self.worker.is_holding_senders()
        };
        let done = match (on, read.is_pending()) {
            (true, false) => read.add(None),
            (false, true) => read.del(),
            _ => return,
        };
        if let Err(error) = done {
            tracing::error!(peer = self.peer(), "{error}");
            return self.worker.retry_reading(Rc::clone(self));
        }
        self.worker.app().changed(self.id(), read);
    }

    /// The worker stops: reads what has been sent until now.
    pub(crate) fn read_last(self: &Rc<Self>) {
        if self.read.get().is_some_and(Event::is_pending) {
            self.guarded(Self::readable);
        }
    }

    /// The worker stops: closes an idle connection at once, and any other after its answer. A new
    /// connection may still send its first request.
    pub(crate) fn retire(self: &Rc<Self>) {
        self.guarded(|connection| {
            if connection.state.borrow().stage.is_stream() {
                let (worker, id) = (&connection.worker, connection.id());
                if let Parting::Now(last) = worker.app().stops(worker, id) {
                    connection.end_stream(last);
                }
                return;
            }
            let (idle, unsent, new) = {
                let state = connection.state.borrow();
                let new = state.stage == Stage::New && connection.worker.takes() != Takes::Reads;
                let idle = state.stage.is_open()
                    && state.input.phase() == Phase::Idle
                    && state.decoding == Decoding::Running;
                (idle, !state.outbox.is_empty(), new)
            };
            match (idle, unsent) {
                // The peer may be sending its next request.
                (true, true) => connection.state.borrow_mut().stage = Stage::LastThenLinger,
                (true, false) if new => connection.update_deadline(time::now(), true),
                (true, false) => connection.close(),
                (false, _) => {}
            }
        });
    }

    /// The memory that would be free without this connection, if it shares none.
    pub(crate) fn held(&self) -> usize {
        let own = {
            let state = self.state.borrow();
            let input = state.input.unread().len() + state.input.body_length();
            state.outbox.len() + input
        };
        own + self.worker.app().held(self.id())
    }

    /// Whether the peer has not read everything that was queued for it.
    pub(crate) fn is_behind(&self) -> bool {
        !self.state.borrow().outbox.is_empty()
    }

    /// Whether the unfinished body of a request has stalled, and its length; `None` without one.
    pub(crate) fn body(&self) -> Option<(bool, usize)> {
        let state = self.state.borrow();
        let length = state.input.body_length();
        (length > 0).then(|| (state.input.is_stalled(), length))
    }

    /// Counts the memory that only this connection uses.
    fn count_memory(&self) {
        let state = &mut *self.state.borrow_mut();
        let overhead = state.input.unread().len() + state.outbox.overhead();
        let before = mem::replace(&mut state.overhead, overhead);
        self.worker.account().subtract(before);
        self.worker.account().add(overhead);
    }

    /// Drops the body that has arrived.
    fn drop_body(&self, state: &mut State) {
        self.worker.release_body(state.input.drop_body());
    }

    /// Whether the peer has not received everything yet.
    pub(crate) fn is_owed(&self) -> bool {
        !matches!(self.state.borrow().stage, Stage::Lingering | Stage::Closed)
    }

    /// The worker has ended: ends the events, which hold the connection.
    pub(crate) fn abandon(&self) {
        self.end_events();
    }

    /// Ends the connection; a second call does nothing. The descriptor closes with the last
    /// handle, when the current callback returns.
    fn close(&self) {
        if self.end_events() {
            tracing::debug!(id = self.id(), "closed");
            self.worker.closed(self.id());
        }
    }

    /// Ends both events. False when they have been ended before.
    fn end_events(&self) -> bool {
        let before = mem::replace(&mut self.state.borrow_mut().stage, Stage::Closed);
        if before == Stage::Closed {
            return false;
        }
        if let Some(read) = self.read.get() {
            read.free();
        }
        let (outbox, input) = {
            let state = &mut *self.state.borrow_mut();
            self.drop_body(state);
            (mem::take(&mut state.outbox), mem::take(&mut state.input))
        };
        self.worker.note_waiting(outbox.waiting(), 0);
        drop((outbox, input)); // frees what waited now, not with the last handle
        self.count_memory();
        self.worker.note_freed();
        true
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The allocator adds a word, and rounds up to two.
    #[test]
    fn a_connection_fits_into_144_bytes() {
        let counts = 2 * size_of::<usize>();
        assert!(counts + size_of::<Connection>() + size_of::<usize>() <= 144);
    }
}
