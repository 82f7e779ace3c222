//! One peer: its read event for life, its write event while bytes wait, and its requests.
//!
//! Bytes go through the codec as they are read, or to the app as they are; answers of one
//! read leave together, and so do the messages of one turn of the loop. What does not fit
//! into the socket waits in the outbox. Where a peer gets nothing but answers it is not read
//! from meanwhile; where it gets messages, too, it is cut off when it lags too far.

mod requests;
mod sending;
mod waiting;

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::io::{self, Read as _};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::Instant;

use waiting::WaitsFor;

use super::app::{Request, Takes};
use super::outbox::Outbox;
use super::worker::Worker;
use http_framing::{Decoder, Phase, Refusal, Status};
use php_event::stream::{Stream, stream_socket_get_name};
use php_event::{Event, Result};

const PANICKED: Refusal = Refusal::new(
    Status::InternalServerError,
    "the server failed on this request",
);

/// A connection, owned by its worker until it closes.
pub(crate) struct Connection {
    stream: Stream,
    worker: Rc<Worker>,
    read: OnceCell<Event>,
    state: RefCell<State>,
}

struct State {
    decoder: Decoder,
    unread: Vec<u8>, // read from the socket, and not used by the decoder yet
    request: Option<Request>,
    body: Vec<u8>, // of that request, where the app takes bodies
    outbox: Outbox,
    fresh: bool,          // nothing has come yet
    queued: bool,         // the worker will send the outbox at the end of this turn
    full: bool,           // decoding stopped because too much waits to be written
    waiting: usize,       // bytes that the socket had no room for, as the worker counts them
    write: Option<Event>, // while the socket has no room
    stage: Stage,
    waits_for: WaitsFor,
    due: Option<Instant>,
    entered: Option<Instant>, // what the live entry in the worker's deadlines is for
}

/// How far a connection is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Takes requests.
    Open,
    /// Has its last answer; closes when it is written.
    Last,
    /// As `Last`, but the peer may still be sending: lingers when it is written.
    LastThenLinger,
    /// Said its last; reads, and throws away, until the peer closes.
    Lingering,
    /// Gone from the worker.
    Closed,
}

impl Connection {
    /// Takes a stream over: it is read from as soon as something comes.
    pub(crate) fn open(worker: &Rc<Worker>, stream: Stream) -> Result<Rc<Self>> {
        let now = Instant::now();
        let connection = Rc::new(Self {
            stream: stream.clone(),
            worker: Rc::clone(worker),
            read: OnceCell::new(),
            state: RefCell::new(State {
                decoder: Decoder::new(worker.config().limits),
                unread: Vec::new(),
                request: None,
                body: Vec::new(),
                outbox: Outbox::default(),
                fresh: true,
                queued: false,
                full: false,
                waiting: 0,
                write: None,
                stage: Stage::Open,
                waits_for: WaitsFor::Request,
                due: None,
                entered: None,
            }),
        });
        let read = connection.event(stream, Event::READ | Event::PERSIST, Self::readable)?;
        if !worker.is_holding() {
            read.add(None)?;
        }
        let read = connection.read.get_or_init(|| read);
        worker.app().opened(connection.id(), read);
        connection.watch(now, true);
        tracing::debug!(id = connection.id(), peer = connection.peer(), "connected");
        Ok(connection)
    }

    /// The stream's number.
    pub(crate) fn id(&self) -> u64 {
        self.stream.id()
    }

    /// An event that runs `work` for as long as the connection is there.
    fn event(
        self: &Rc<Self>,
        stream: Stream,
        what: php_event::EventFlags,
        work: fn(&Rc<Self>),
    ) -> Result<Event> {
        let weak: Weak<Self> = Rc::downgrade(self);
        Event::new(
            self.worker.base(),
            stream,
            what,
            move |_stream, _what, _event| {
                if let Some(connection) = weak.upgrade() {
                    connection.guarded(work);
                }
            },
        )
    }

    /// Runs a step so that a panic in it ends this connection, and nothing else.
    fn guarded(self: &Rc<Self>, step: impl FnOnce(&Rc<Self>)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| step(self))) else {
            return;
        };
        self.worker.counters().panics.add(1);
        tracing::error!(
            peer = self.peer(),
            "a request's code panicked: {}",
            message(&*panic)
        );
        let answered = catch_unwind(AssertUnwindSafe(|| {
            drop(self.worker.batch().take());
            self.take_back_the_last_answer();
            self.refuse(PANICKED);
        }));
        if answered.is_err() {
            self.close();
        }
    }

    /// The answer that was to be the last was not made.
    fn take_back_the_last_answer(&self) {
        let state = &mut *self.state.borrow_mut();
        if matches!(state.stage, Stage::Last | Stage::LastThenLinger) && state.outbox.is_empty() {
            state.stage = Stage::Open;
        }
    }

    fn peer(&self) -> String {
        stream_socket_get_name(&self.stream, true)
            .unwrap_or_else(|| format!("stream {}", self.id()))
    }

    fn readable(self: &Rc<Self>) {
        let mut buffer = self.worker.read_buffer();
        match (&self.stream).read(&mut buffer) {
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
        {
            let mut state = self.state.borrow_mut();
            state.fresh = false;
            if state.stage != Stage::Open {
                return; // it has its last answer
            }
        }
        self.worker.echo(bytes);
        match self.worker.takes() {
            Takes::Requests | Takes::Bodies => self.serve(bytes),
            Takes::Reads => self.worker.received(self.id(), bytes),
        }
    }

    /// The worker holds senders back, or no longer: then what they owe is due anew, since
    /// nobody listened meanwhile.
    pub(crate) fn held(&self, hold: bool) {
        self.read_on();
        if !hold {
            self.watch(Instant::now(), true);
        }
    }

    /// Reads, unless too much waits to be written or the worker holds senders back.
    pub(crate) fn read_on(&self) {
        let Some(read) = self.read.get() else { return };
        let on = {
            let state = self.state.borrow();
            let answers_wait = self.worker.takes() == Takes::Requests && state.write.is_some();
            state.stage != Stage::Closed
                && !answers_wait
                && !state.full
                && !self.worker.is_holding()
        };
        let done = match (on, read.is_pending()) {
            (true, false) => read.add(None),
            (false, true) => read.del(),
            _ => return,
        };
        if let Err(error) = done {
            tracing::error!(peer = self.peer(), "{error}");
        }
        self.worker.app().changed();
    }

    /// The worker stops: takes what has been sent until now.
    pub(crate) fn take_last(self: &Rc<Self>) {
        if self.read.get().is_some_and(Event::is_pending) {
            self.guarded(Self::readable);
        }
    }

    /// The worker stops: an idle connection closes, another when it has its answer. One that is
    /// quite new may still ask.
    pub(crate) fn retire(self: &Rc<Self>) {
        self.guarded(|connection| {
            let (between, waits, fresh) = {
                let state = connection.state.borrow();
                let fresh = state.fresh && connection.worker.takes() != Takes::Reads;
                let between = state.stage == Stage::Open
                    && state.decoder.phase() == Phase::Idle
                    && !state.full;
                (between, !state.outbox.is_empty(), fresh)
            };
            match (between, waits) {
                (true, true) => connection.state.borrow_mut().stage = Stage::Last,
                (true, false) if fresh => connection.watch(Instant::now(), true),
                (true, false) => connection.close(),
                (false, _) => {}
            }
        });
    }

    /// Whether the peer has not got all that it is to get.
    pub(crate) fn is_owed(&self) -> bool {
        !matches!(self.state.borrow().stage, Stage::Lingering | Stage::Closed)
    }

    /// The worker has ended: takes apart what refers to it.
    pub(crate) fn abandon(&self) {
        self.end_events();
    }

    /// Ends the connection; harmless a second time. The descriptor closes with the last
    /// handle, when the running callback returns.
    fn close(&self) {
        if self.end_events() {
            tracing::debug!(id = self.id(), "closed");
            self.note_waiting();
            self.worker.closed(self.id());
        }
    }

    /// Ends both events; false when that was done before.
    fn end_events(&self) -> bool {
        let write = {
            let mut state = self.state.borrow_mut();
            if mem::replace(&mut state.stage, Stage::Closed) == Stage::Closed {
                return false;
            }
            state.write.take()
        };
        if let Some(read) = self.read.get() {
            read.free();
        }
        let (outbox, body) = {
            let state = &mut *self.state.borrow_mut();
            (mem::take(&mut state.outbox), mem::take(&mut state.body))
        };
        self.worker.release_body(body.len());
        drop((write, outbox)); // what it held back goes now, not with the last handle
        true
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
