//! One peer: its read event for life, its write event while bytes wait, and its requests.
//!
//! Bytes go through the codec as they are read, or to the app as they are; answers of one
//! read leave together, and so do the messages of one turn of the loop. What does not fit
//! into the socket waits in the outbox. Where a peer gets nothing but answers it is not read
//! from meanwhile; where it gets messages, too, it is cut off when it lags too far.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::io::{self, Read as _};
use std::mem;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::app::{Request, Takes};
use super::deadlines::Tick;
use super::outbox::{Outbox, Part};
use super::worker::Worker;
use crate::codec::{Decoder, Item, Method, Phase, Refusal, Status, response};
use crate::stream::{Stream, stream_socket_get_name, stream_socket_shutdown};
use crate::{Event, Result};

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
const TOO_MANY_BODIES: Refusal = Refusal::new(
    Status::ServiceUnavailable,
    "too many request bodies are on their way to this server",
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

/// What one item of the input asks for.
enum Step {
    /// To take the next.
    On,
    /// To wait: for more bytes, or for room.
    Stop,
    /// To write this.
    Say(Part),
    /// To have the app answer this request, with this body.
    Answer(Request, Vec<u8>),
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

    /// Answers what is complete in what was left and `fresh`, as far as the queue allows.
    fn serve(self: &Rc<Self>, mut fresh: &[u8]) {
        let before = self.worker.counters().requests.get();
        loop {
            self.decode(fresh);
            fresh = &[];
            if !self.flush() || !self.state.borrow().full {
                break;
            }
        }
        if self.state.borrow().full {
            self.read_on();
        }
        let answered = self.worker.counters().requests.get() != before;
        self.watch(Instant::now(), answered);
    }

    /// Puts answers into the worker's batch until the bytes are used up or it is full.
    fn decode(self: &Rc<Self>, fresh: &[u8]) {
        let mut left = mem::take(&mut self.state.borrow_mut().unread);
        let input = if left.is_empty() {
            fresh
        } else {
            left.extend_from_slice(fresh);
            &left
        };
        let used = self.decode_all(input);
        let unread = if left.is_empty() {
            input.get(used..).unwrap_or_default().to_vec()
        } else {
            left.drain(..used);
            if left.is_empty() { Vec::new() } else { left }
        };
        self.state.borrow_mut().unread = unread;
    }

    /// How many bytes of `input` are used up.
    fn decode_all(self: &Rc<Self>, input: &[u8]) -> usize {
        let mut rest = input;
        loop {
            // No borrow is held while the app answers: it may queue a message to this peer.
            let answer = match self.step(&mut rest) {
                Step::On => continue,
                Step::Stop => break,
                Step::Say(part) => part,
                Step::Answer(request, body) => self.worker.answer(self.id(), request, &body),
            };
            self.worker.batch().borrow_mut().push(answer);
        }
        input.len() - rest.len()
    }

    /// Takes one item off the front of `rest`.
    fn step(&self, rest: &mut &[u8]) -> Step {
        let state = &mut *self.state.borrow_mut();
        let waits = self.worker.batch().borrow().len() + state.outbox.len();
        state.full = state.stage == Stage::Open && waits >= self.worker.config().max_queue;
        if state.full || state.stage != Stage::Open {
            return Step::Stop;
        }
        let decoded = match state.decoder.decode(rest) {
            Ok(decoded) => decoded,
            Err(refusal) => {
                let head_only = state.request.is_none() && asks_for_head(rest);
                return Step::Say(self.refusal(state, &refusal, head_only));
            }
        };
        *rest = rest.get(decoded.used..).unwrap_or_default();
        match decoded.item {
            Item::NeedMore => return Step::Stop,
            Item::Head(head) => {
                let head_only = head.method == Method::Head;
                state.request = Some(Request {
                    head_only,
                    keep_alive: head.keep_alive,
                });
                if head.expects_continue && rest.is_empty() {
                    return Step::Say(response::CONTINUE.to_vec().into());
                }
            }
            Item::Body(part) if self.worker.takes() == Takes::Bodies => {
                if !self.worker.take_body(part.len()) {
                    return Step::Say(self.refusal(state, &TOO_MANY_BODIES, false));
                }
                state.body.extend_from_slice(part);
            }
            Item::Body(_) => {}
            Item::End => {
                let (request, body) = self.complete(state, rest.is_empty());
                return Step::Answer(request, body);
            }
        }
        Step::On
    }

    /// The request that is complete now, with its body, and whether the connection stays.
    fn complete(&self, state: &mut State, nothing_left: bool) -> (Request, Vec<u8>) {
        let asked = state.request.take().unwrap_or(Request {
            head_only: false,
            keep_alive: false,
        });
        let keep_alive = asked.keep_alive && !self.worker.is_stopping();
        if !keep_alive {
            // A peer that did not ask for the end may be sending its next request.
            state.stage = if nothing_left && !asked.keep_alive {
                Stage::Last
            } else {
                Stage::LastThenLinger
            };
        }
        self.worker.release_body(state.body.len());
        (
            Request {
                keep_alive,
                ..asked
            },
            mem::take(&mut state.body),
        )
    }

    fn refusal(&self, state: &mut State, refusal: &Refusal, head_only: bool) -> Part {
        tracing::debug!(peer = self.peer(), "refused: {refusal}");
        self.worker.counters().refusals.add(1);
        state.stage = Stage::LastThenLinger;
        let head_only = head_only
            || state
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
            let part = self.refusal(&mut self.state.borrow_mut(), &refusal, false);
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
        let behind = !self.state.borrow().outbox.is_empty();
        if behind {
            self.state.borrow_mut().outbox.append(&mut batch);
            self.worker.batch().replace(batch); // with its memory
            return false; // `send_queued` or `writable` goes on
        }
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

    /// Queues a message, to be sent at the end of this turn of the loop.
    pub(crate) fn queue(self: &Rc<Self>, message: &Rc<[u8]>) {
        let first = {
            let state = &mut *self.state.borrow_mut();
            if state.stage != Stage::Open {
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
            Ok((_, true)) => self.drained(),
            Ok((written, false)) => {
                if self.state.borrow().write.is_none() {
                    self.wait_for_room();
                }
                self.note_waiting();
                self.check_lag();
                self.watch(Instant::now(), written > 0);
            }
            Err(error) => {
                tracing::debug!(peer = self.peer(), "writing failed: {error}");
                self.close();
            }
        }
    }

    /// The outbox is empty: goes on with what had to wait for that.
    fn drained(self: &Rc<Self>) {
        let (write, outbox, full) = {
            let state = &mut *self.state.borrow_mut();
            let full = mem::replace(&mut state.full, false);
            (state.write.take(), mem::take(&mut state.outbox), full)
        };
        let waited = write.is_some();
        drop((write, outbox)); // with their memory: a slow peer may be so only once
        self.note_waiting();
        if waited || full {
            self.read_on();
        }
        if !self.written() {
            self.watch(Instant::now(), true);
        } else if full {
            self.serve(&[]);
        } else if waited {
            self.watch(Instant::now(), true);
        }
    }

    /// Asks to be told when the socket has room.
    fn wait_for_room(self: &Rc<Self>) {
        let event = self.event(
            self.stream.clone(),
            Event::WRITE | Event::PERSIST,
            Self::write_outbox,
        );
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => self.state.borrow_mut().write = Some(event),
            Err(error) => {
                tracing::error!(peer = self.peer(), "waiting for room failed: {error}");
                return self.close();
            }
        }
        self.note_waiting();
        self.read_on();
    }

    /// Tells the worker how many bytes wait here.
    fn note_waiting(&self) {
        let state = &mut *self.state.borrow_mut();
        let now = if state.stage == Stage::Closed {
            0
        } else {
            state.outbox.len()
        };
        let before = mem::replace(&mut state.waiting, now);
        self.worker.note_waiting(before, now);
    }

    /// Bytes that wait for the socket to have room.
    pub(crate) fn waiting(&self) -> usize {
        self.state.borrow().waiting
    }

    /// Cuts off a peer that reads its messages too slowly. One that gets answers alone is
    /// held back instead.
    fn check_lag(&self) {
        let most = self.worker.config().max_queue;
        self.note_waiting();
        if self.worker.takes() != Takes::Requests && self.waiting() > most {
            self.cut_off("the reader lags past --max-queue");
        }
    }

    /// Ends a connection that cannot keep up.
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

    /// All that was to be written is. True when the connection takes more requests.
    fn written(&self) -> bool {
        let stage = self.state.borrow().stage;
        match stage {
            Stage::Open => return true,
            Stage::Last => self.close(),
            Stage::LastThenLinger => {
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

/// Whether a request that was refused in its head is a `HEAD`.
fn asks_for_head(input: &[u8]) -> bool {
    input.trim_ascii_start().starts_with(b"HEAD ")
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
