//! One peer: its read event for life, its write event while bytes wait, and its requests.
//!
//! Bytes go through the codec as they are read; answers of one read leave together. What
//! does not fit into the socket waits in the outbox, and the peer is not read from
//! meanwhile, so that a peer that does not read cannot make the server collect answers.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::io::{self, Read as _};
use std::mem;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::app::Request;
use super::deadlines::Tick;
use super::outbox::{Outbox, Part};
use super::worker::Worker;
use crate::codec::{Decoder, Item, Method, Phase, Refusal, Status, response};
use crate::stream::{Stream, stream_socket_get_name, stream_socket_shutdown};
use crate::{Event, Result};

/// How long a peer that got its last answer may go on sending before it is cut off; closing
/// with bytes unread would reset the connection, and the answer could be lost (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);

const HEAD_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's head did not arrive in the time this server allows",
);
const BODY_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's body did not arrive in the time this server allows",
);
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
    outbox: Outbox,
    write: Option<Event>, // while the outbox has something
    stage: Stage,
    waits_for: WaitsFor,
    due: Instant,
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
    LastRefused,
    /// Said its last; reads, and throws away, until the peer closes.
    Lingering,
    /// Gone from the worker.
    Closed,
}

/// What a connection waits for: each has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    Request,
    Head,
    Body,
    Room,
    Close,
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
                outbox: Outbox::default(),
                write: None,
                stage: Stage::Open,
                waits_for: WaitsFor::Request,
                due: now,
                entered: None,
            }),
        });
        let read = connection.event(stream, Event::READ | Event::PERSIST, Self::readable)?;
        read.add(None)?;
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
        what: crate::EventFlags,
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
            self.refuse(PANICKED);
        }));
        if answered.is_err() {
            self.close();
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
        if self.state.borrow().stage == Stage::Open {
            self.worker.echo(bytes);
            self.serve(bytes);
        }
    }

    /// Answers what is complete in what was left and `fresh`, as far as the queue allows.
    fn serve(self: &Rc<Self>, mut fresh: &[u8]) {
        let before = self.worker.counters().requests.get();
        loop {
            let full = self.decode(fresh);
            fresh = &[];
            if !self.flush() || !full {
                break;
            }
        }
        let answered = self.worker.counters().requests.get() != before;
        self.watch(Instant::now(), answered);
    }

    /// Puts answers into the worker's batch; gives true when the queue was full before the
    /// bytes were used up.
    fn decode(&self, fresh: &[u8]) -> bool {
        let state = &mut *self.state.borrow_mut();
        let mut left = mem::take(&mut state.unread);
        let input = if left.is_empty() {
            fresh
        } else {
            left.extend_from_slice(fresh);
            &left
        };
        let (used, full) = self.decode_all(state, input);
        if left.is_empty() {
            state.unread = input.get(used..).unwrap_or_default().to_vec();
        } else if used < left.len() {
            left.drain(..used);
            state.unread = left;
        }
        full
    }

    fn decode_all(&self, state: &mut State, input: &[u8]) -> (usize, bool) {
        let mut batch = self.worker.batch().borrow_mut();
        let mut rest = input;
        while state.stage == Stage::Open {
            if batch.len() >= self.worker.config().max_queue {
                return (input.len() - rest.len(), true);
            }
            match state.decoder.decode(rest) {
                Ok(decoded) => {
                    rest = rest.get(decoded.used..).unwrap_or_default();
                    match decoded.item {
                        Item::NeedMore => break,
                        Item::Head(head) => {
                            let head_only = head.method == Method::Head;
                            state.request = Some(Request {
                                head_only,
                                keep_alive: head.keep_alive,
                            });
                            if head.expects_continue && rest.is_empty() {
                                batch.push(response::CONTINUE.to_vec().into());
                            }
                        }
                        Item::Body(_) => {}
                        Item::End => batch.push(self.answer(state, rest.is_empty())),
                    }
                }
                Err(refusal) => batch.push(self.refusal(state, &refusal)),
            }
        }
        (input.len() - rest.len(), false)
    }

    fn answer(&self, state: &mut State, nothing_left: bool) -> Part {
        let asked = state.request.take().unwrap_or(Request {
            head_only: false,
            keep_alive: false,
        });
        let keep_alive = asked.keep_alive && !self.worker.is_stopping();
        if !keep_alive {
            state.stage = if nothing_left {
                Stage::Last
            } else {
                Stage::LastRefused
            };
        }
        self.worker.counters().requests.add(1);
        self.worker.answer(Request {
            keep_alive,
            ..asked
        })
    }

    fn refusal(&self, state: &mut State, refusal: &Refusal) -> Part {
        tracing::debug!(peer = self.peer(), "refused: {refusal}");
        self.worker.counters().refusals.add(1);
        state.stage = Stage::LastRefused;
        let head_only = state
            .request
            .take()
            .is_some_and(|request| request.head_only);
        let mut bytes = Vec::new();
        response::refusal(&mut bytes, refusal, &super::worker::http_date(), head_only);
        bytes.into()
    }

    /// Answers with an error status, and ends the connection.
    fn refuse(self: &Rc<Self>, refusal: Refusal) {
        if self.state.borrow().stage == Stage::Open {
            let part = self.refusal(&mut self.state.borrow_mut(), &refusal);
            self.worker.batch().borrow_mut().push(part);
            self.flush();
            self.watch(Instant::now(), true);
        } else {
            self.close();
        }
    }

    /// Writes the batch, behind what waits already. True when all is written and the
    /// connection takes more requests.
    fn flush(self: &Rc<Self>) -> bool {
        let mut batch = self.worker.batch().take();
        if let Err(error) = batch.write_to(&self.stream) {
            tracing::debug!(peer = self.peer(), "writing failed: {error}");
            self.close();
            return false;
        }
        if batch.is_empty() {
            self.worker.batch().replace(batch); // with its memory
            return self.written();
        }
        self.state.borrow_mut().outbox = batch;
        self.wait_for_room();
        false
    }

    /// Stops reading, and writes when the socket has room.
    fn wait_for_room(self: &Rc<Self>) {
        let event = self.event(
            self.stream.clone(),
            Event::WRITE | Event::PERSIST,
            Self::writable,
        );
        let added = event.and_then(|event| event.add(None).map(|()| event));
        match added {
            Ok(event) => self.state.borrow_mut().write = Some(event),
            Err(error) => {
                tracing::error!(peer = self.peer(), "waiting for room failed: {error}");
                return self.close();
            }
        }
        self.read_on(false);
    }

    fn read_on(&self, on: bool) {
        if let Some(read) = self.read.get() {
            let done = if on { read.add(None) } else { read.del() };
            if let Err(error) = done {
                tracing::error!(peer = self.peer(), "{error}");
            }
            self.worker.app().changed();
        }
    }

    fn writable(self: &Rc<Self>) {
        let result = {
            let state = &mut *self.state.borrow_mut();
            state
                .outbox
                .write_to(&self.stream)
                .map(|written| (written, state.outbox.is_empty()))
        };
        match result {
            Ok((_, true)) => {
                let (write, outbox) = {
                    let state = &mut *self.state.borrow_mut();
                    (state.write.take(), mem::take(&mut state.outbox))
                };
                drop((write, outbox));
                self.read_on(true);
                if self.written() {
                    self.serve(&[]);
                } else {
                    self.watch(Instant::now(), true);
                }
            }
            Ok((written, false)) => self.watch(Instant::now(), written > 0),
            Err(error) => {
                tracing::debug!(peer = self.peer(), "writing failed: {error}");
                self.close();
            }
        }
    }

    /// All that was to be written is. True when the connection takes more requests.
    fn written(&self) -> bool {
        let stage = self.state.borrow().stage;
        match stage {
            Stage::Open => return true,
            Stage::Last => self.close(),
            Stage::LastRefused => {
                self.state.borrow_mut().stage = Stage::Lingering;
                if stream_socket_shutdown(&self.stream, Shutdown::Write).is_err() {
                    self.close(); // the peer is gone already
                }
            }
            Stage::Lingering | Stage::Closed => {}
        }
        false
    }

    /// Sets the deadline for what the connection waits for now. `anew` when it made the
    /// progress that the deadline is about; otherwise only a change of what it waits for
    /// sets a new one, so that a byte a second holds nothing.
    fn watch(&self, now: Instant, anew: bool) {
        let state = &mut *self.state.borrow_mut();
        let waits_for = match (state.stage, state.decoder.phase()) {
            (Stage::Closed, _) => return,
            (Stage::Lingering, _) => WaitsFor::Close,
            _ if !state.outbox.is_empty() => WaitsFor::Room,
            (_, Phase::Idle) => WaitsFor::Request,
            (_, Phase::Head) => WaitsFor::Head,
            (_, Phase::Body) => WaitsFor::Body,
        };
        if anew || waits_for != state.waits_for {
            state.waits_for = waits_for;
            state.due = now
                + match waits_for {
                    WaitsFor::Head => self.worker.config().header_timeout,
                    WaitsFor::Request | WaitsFor::Body | WaitsFor::Room => {
                        self.worker.config().idle_timeout
                    }
                    WaitsFor::Close => LINGER,
                };
        }
        if state.entered.is_none_or(|entered| state.due < entered) {
            state.entered = Some(state.due);
            self.worker.enter_deadline(self.id(), state.due, now);
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
            (state.due <= now, state.waits_for)
        };
        if !due {
            return self.watch(now, false);
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

    /// The worker stops: what has been sent is answered, and an idle connection closes.
    pub(crate) fn retire(self: &Rc<Self>) {
        self.guarded(|connection| {
            if connection.state.borrow().write.is_none() {
                connection.readable();
            }
            let idle = {
                let state = connection.state.borrow();
                state.stage == Stage::Open
                    && state.outbox.is_empty()
                    && state.decoder.phase() == Phase::Idle
            };
            if idle {
                connection.close();
            }
        });
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
        drop(write);
        true
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
