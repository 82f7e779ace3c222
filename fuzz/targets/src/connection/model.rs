//! What a connection has to send, from the bytes that have arrived and the decoder alone.

use std::time::Duration;

use fuzz_server::{BEAT, Beat, Kind, LAST_BYTES, Probe, Seen, Takes};
use http_framing::{Decoder, Item, Limits, Method, Phase, Refusal, Status, response};

/// How long a head may take, and how long a peer may be idle.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(1);
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The usual limit of what may wait for a peer.
pub(super) const MAX_QUEUE: usize = 4 << 20;

/// How long a peer may send after the last answer.
const LINGER: Duration = Duration::from_secs(2);

/// How long a connection that is new when the server stops may take for its request.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// How much of a body that is kept has to arrive within [`HEADER_TIMEOUT`].
const BODY_STEP: usize = 4096;

const HEAD_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's head did not arrive in the time this server allows",
);
const BODY_LATE: Refusal = Refusal::new(
    Status::RequestTimeout,
    "the request's body did not arrive in the time this server allows",
);

/// What stands for the date of a refusal.
pub(super) const DATE: &str = "Ddd, DD Mmm YYYY HH:MM:SS GMT";

/// What a server is asked to do with its connections.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) takes: Takes,
    pub(super) limits: Limits,
    pub(super) plan: Vec<Kind>,
    /// How many bytes may wait for a peer.
    pub(super) max_queue: usize,
    /// How many connections may be open, if there is a limit.
    pub(super) max_connections: Option<usize>,
}

impl Rules {
    /// Whether more may wait for a peer than is ever sent.
    pub(super) fn has_long_queue(&self) -> bool {
        self.max_queue >= MAX_QUEUE
    }
}

/// A part of what a connection sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The interim answer. Whether it is due depends on what has arrived after the head.
    Continue,
    /// An answer or a message.
    Bytes(Vec<u8>),
    /// The answer to a request that is refused, without its date. Of two faults, either may be the
    /// reason.
    Refused(Vec<u8>),
}

impl Sent {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Continue => response::CONTINUE,
            Self::Bytes(bytes) | Self::Refused(bytes) => bytes,
        }
    }

    pub(super) fn length(&self) -> usize {
        self.bytes().len()
    }
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The app has not answered yet; what follows its answer.
    Waits(Next),
    Stream,
    Upgraded,
    /// It has sent its last answer, or will. The peer may still be sending.
    Lingers,
    Closed,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    Linger,
    Close,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    Request,
    Answer,
    Head,
    Body,
    /// Something that may take for ever.
    Message,
    Close,
}

/// A connection by the rules.
#[derive(Debug)]
pub(super) struct Model {
    stage: Stage,
    is_new: bool,
    stops: bool, // its server does
    now: Duration,
    waits_for: WaitsFor,
    due: Option<Duration>,
    body: Option<Pace>,
    beats: usize,
    beat_due: Duration,
    decoder: Decoder,
    input: Vec<u8>, // what has arrived and is not decoded yet
    request: Option<Request>,
    answered: usize,
    answer: Vec<u8>, // that the app has not given yet
    /// What it has to send, without what was taken out before.
    pub(super) sent: Vec<Sent>,
    /// What its app has to see, likewise.
    pub(super) seen: Vec<Seen>,
}

/// How fast a body arrives that is kept.
#[derive(Clone, Copy, Debug)]
struct Pace {
    end: Duration,
    length: usize,
}

/// A request whose head has arrived.
#[derive(Debug)]
struct Request {
    head: Vec<u8>,
    head_only: bool,
    keep_alive: bool,
    body: Vec<u8>,
}

impl Model {
    pub(super) fn new(rules: &Rules) -> Self {
        let mut new = Self {
            stage: Stage::Open,
            is_new: true,
            stops: false,
            now: Duration::ZERO,
            waits_for: WaitsFor::Request,
            due: None,
            body: None,
            beats: 0,
            beat_due: Duration::ZERO,
            decoder: Decoder::new(rules.limits),
            input: Vec::new(),
            request: None,
            answered: 0,
            answer: Vec::new(),
            sent: Vec::new(),
            seen: Vec::new(),
        };
        new.set_due(true, rules);
        new
    }

    /// Whether nothing more is sent.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Lingers | Stage::Closed)
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::Closed
    }

    pub(super) fn waits_for_reply(&self) -> bool {
        matches!(self.stage, Stage::Waits(_))
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.stage, Stage::Stream | Stage::Upgraded)
    }

    /// Whether the app sends it messages.
    pub(super) fn takes_messages(&self, rules: &Rules) -> bool {
        self.is_stream() || self.stage == Stage::Open && rules.takes == Takes::Reads
    }

    /// Whether its deadline depends on how the bytes that have arrived were cut.
    pub(super) fn depends_on_cuts(&self) -> bool {
        self.body.is_some() || self.stage == Stage::Lingers
    }

    /// One read has returned `part`.
    pub(super) fn receive(&mut self, part: &[u8], rules: &Rules) {
        if part.is_empty() {
            return;
        }
        self.is_new = false;
        match self.stage {
            Stage::Open if rules.takes == Takes::Reads => self.pass(part.to_vec()),
            Stage::Open => {
                self.input.extend_from_slice(part);
                let before = self.answered;
                self.decode(rules);
                self.set_due(self.answered > before, rules);
            }
            Stage::Waits(_) => self.input.extend_from_slice(part),
            Stage::Upgraded => self.pass(part.to_vec()),
            Stage::Stream | Stage::Lingers | Stage::Closed => {}
        }
    }

    /// The app answers.
    pub(super) fn reply(&mut self, rules: &Rules) {
        let Stage::Waits(next) = self.stage else {
            return;
        };
        let answer = std::mem::take(&mut self.answer);
        self.sent.push(Sent::Bytes(answer));
        self.go_on(if self.stops && next == Next::Request {
            Next::Linger
        } else {
            next
        });
        self.decode(rules);
        self.set_due(true, rules);
    }

    fn go_on(&mut self, next: Next) {
        self.stage = match next {
            Next::Request => Stage::Open,
            Next::Linger => Stage::Lingers,
            Next::Close => Stage::Closed,
        };
    }

    /// The app sends a message.
    pub(super) fn deliver(&mut self, message: &[u8]) {
        self.sent.push(Sent::Bytes(message.to_vec()));
    }

    /// The app ends a stream.
    pub(super) fn end_stream(&mut self, last: &[u8], rules: &Rules) {
        self.stage = match self.stage {
            Stage::Stream => Stage::Closed,
            Stage::Upgraded => Stage::Lingers,
            _ => return,
        };
        self.sent.push(Sent::Bytes(last.to_vec()));
        self.set_due(true, rules);
    }

    /// The client sends no more: the connection ends.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Closed;
    }

    /// The server stops. What the client has sent has been received; `is_blocked` says that the
    /// client has not read everything that it was sent.
    pub(super) fn stop(&mut self, is_blocked: bool, rules: &Rules) {
        let is_idle = self.stage == Stage::Open && self.decoder.phase() == Phase::Idle;
        if self.is_stream() {
            self.end_stream(LAST_BYTES, rules);
        } else if is_idle && is_blocked {
            self.stage = Stage::Lingers;
            self.set_due(true, rules);
        } else if is_idle && self.is_new && rules.takes != Takes::Reads {
            self.set_due(true, rules);
        } else if is_idle {
            self.stage = Stage::Closed;
        }
    }

    /// From here on, the server answers each connection's next request as its last.
    pub(super) fn will_stop(&mut self) {
        self.stops = true;
    }

    /// The client has read everything that waited for it.
    pub(super) fn unblock(&mut self, rules: &Rules) {
        self.set_due(true, rules);
    }

    /// Time passes; `is_blocked` says that the client has not read everything that it was sent.
    /// True if the time of what it waits for is over.
    pub(super) fn wait(&mut self, time: Duration, is_blocked: bool, rules: &Rules) -> bool {
        self.now += time;
        if self.is_stream() && self.beat_due <= self.now {
            let beat = Beat::of(self.beats);
            self.beats += 1;
            self.beat_due = self.now + BEAT;
            match beat {
                Beat::Goes if is_blocked => {}
                Beat::Goes => self.deliver(beat.bytes()),
                Beat::Ends => self.end_stream(beat.bytes(), rules),
            }
        }
        if is_blocked || !self.is_open() || self.due.is_none_or(|due| due > self.now) {
            return false;
        }
        match self.waits_for {
            WaitsFor::Head => self.refuse(&HEAD_LATE, b"", rules),
            WaitsFor::Body => self.refuse(&BODY_LATE, b"", rules),
            _ => self.stage = Stage::Closed,
        }
        self.set_due(true, rules);
        true
    }

    /// Sets the deadline of what it waits for now. Without progress it stays if it waits for that
    /// already.
    fn set_due(&mut self, is_progress: bool, rules: &Rules) {
        let waits_for = match (self.stage, self.decoder.phase()) {
            (Stage::Closed, _) => return,
            (Stage::Lingers, _) => WaitsFor::Close,
            (Stage::Stream | Stage::Upgraded, _) => WaitsFor::Message,
            (Stage::Waits(_), _) => WaitsFor::Answer,
            (Stage::Open, _) if rules.takes == Takes::Reads => WaitsFor::Message,
            (Stage::Open, Phase::Idle) => WaitsFor::Request,
            (Stage::Open, Phase::Head) => WaitsFor::Head,
            (Stage::Open, Phase::Body) => WaitsFor::Body,
        };
        if is_progress || waits_for != self.waits_for {
            self.waits_for = waits_for;
            let time = match waits_for {
                WaitsFor::Request if self.stops => Some(FIRST_REQUEST),
                WaitsFor::Request | WaitsFor::Body => Some(IDLE_TIMEOUT),
                WaitsFor::Head => Some(HEADER_TIMEOUT),
                WaitsFor::Answer | WaitsFor::Message => None,
                WaitsFor::Close => Some(LINGER),
            };
            self.due = time.map(|time| self.now + time);
            self.body = None;
        }
        if waits_for == WaitsFor::Body && matches!(rules.takes, Takes::Bodies | Takes::Whole) {
            self.keep_pace();
        }
    }

    /// Moves the deadline of a body if enough of it has arrived.
    fn keep_pace(&mut self) {
        let length = self.request.as_ref().map_or(0, |one| one.body.len());
        let pace = self.body.get_or_insert(Pace {
            end: self.now + IDLE_TIMEOUT,
            length: 0,
        });
        if pace.length == 0 || length >= pace.length + BODY_STEP {
            pace.length = length.max(1);
            self.due = Some(pace.end.min(self.now + HEADER_TIMEOUT));
        }
    }

    fn pass(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        // Reads may be joined.
        if let Some(Seen::Passed { bytes: before, .. }) = self.seen.last_mut() {
            return before.extend(bytes);
        }
        self.seen.push(Seen::Passed { from: 0, bytes });
    }

    fn decode(&mut self, rules: &Rules) {
        let mut input = std::mem::take(&mut self.input);
        let (mut rest, mut goes_on) = (input.as_slice(), true);
        while goes_on && self.stage == Stage::Open {
            goes_on = self.step(&mut rest, rules);
        }
        let left = rest.len();
        input.drain(..input.len() - left);
        self.input = input;
        if self.stage == Stage::Upgraded {
            let input = std::mem::take(&mut self.input);
            self.pass(input);
        }
    }

    /// Takes one item off the front of `rest`. False if nothing more can be done.
    fn step(&mut self, rest: &mut &[u8], rules: &Rules) -> bool {
        let decoded = match self.decoder.decode(rest) {
            Ok(decoded) => decoded,
            Err(refusal) => {
                self.refuse(&refusal, rest, rules);
                return false;
            }
        };
        let (used, after) = rest.split_at(decoded.used);
        *rest = after;
        match decoded.item {
            Item::NeedMore => return false,
            Item::Head(head) => {
                self.request = Some(Request {
                    head: without_empty_lines(used).to_vec(),
                    head_only: head.method == Method::Head,
                    keep_alive: head.keep_alive,
                    body: Vec::new(),
                });
                if head.expects_continue && rest.is_empty() {
                    self.sent.push(Sent::Continue);
                }
            }
            Item::Body(part) => {
                let request = self.request.as_mut().expect("a head before the body");
                request.body.extend_from_slice(part);
            }
            Item::End => {
                let request = self.request.take().expect("a head before the end");
                self.answer(request, rest.is_empty(), rules);
            }
        }
        true
    }

    fn answer(&mut self, request: Request, is_all: bool, rules: &Rules) {
        let Request {
            head,
            head_only,
            keep_alive: is_kept,
            body,
        } = request;
        let keep_alive = is_kept && !self.stops;
        let next = match keep_alive {
            true => Next::Request,
            // A client that did not ask for the end may be sending.
            false if is_kept || !is_all => Next::Linger,
            false => Next::Close,
        };
        let shows = |bytes, takes: &[Takes]| match takes.contains(&rules.takes) {
            true => bytes,
            false => Vec::new(),
        };
        self.seen.push(Seen::Request {
            from: 0,
            head_only,
            keep_alive,
            head: shows(head, &[Takes::Whole]),
            body: shows(body, &[Takes::Whole, Takes::Bodies]),
        });
        let number = self.answered;
        self.answered += 1;
        let kind = rules.plan[number % rules.plan.len()];
        let answer = Probe::answer(kind, number, head_only, keep_alive);
        match kind {
            Kind::Later => {
                self.answer = answer;
                self.stage = Stage::Waits(next);
                return;
            }
            Kind::Stream => self.stage = Stage::Stream,
            Kind::Upgrade => self.stage = Stage::Upgraded,
            Kind::Whole(_) | Kind::Shared => self.go_on(next),
        }
        self.beat_due = self.now + BEAT;
        self.sent.push(Sent::Bytes(answer));
    }

    fn refuse(&mut self, refusal: &Refusal, input: &[u8], rules: &Rules) {
        let (head, head_only) = match self.request.take() {
            Some(request) if rules.takes == Takes::Whole => (request.head, request.head_only),
            Some(request) => (Vec::new(), request.head_only),
            None => {
                let input = without_empty_lines(input);
                let end = input.windows(4).position(|part| part == b"\r\n\r\n");
                let head = end.map_or(&[][..], |end| &input[..end + 4]);
                (head.to_vec(), input.starts_with(b"HEAD "))
            }
        };
        let mut bytes = Vec::new();
        let fields = Probe::refusal_fields(&head);
        response::refusal(&mut bytes, refusal, DATE, &fields, head_only);
        self.sent.push(Sent::Refused(bytes));
        self.stage = Stage::Lingers;
    }
}

fn without_empty_lines(mut input: &[u8]) -> &[u8] {
    while let Some(rest) = input.strip_prefix(b"\r\n") {
        input = rest;
    }
    input
}
