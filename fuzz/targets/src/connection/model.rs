//! What a connection has to send, from the bytes that have arrived and the decoder alone.

use fuzz_server::{Kind, Probe, Seen, Takes};
use http_framing::{Decoder, Item, Limits, Method, Refusal, response};

/// What stands for the date of a refusal.
pub(super) const DATE: &str = "";

/// What a server is asked to do with its connections.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) takes: Takes,
    pub(super) limits: Limits,
    pub(super) plan: Vec<Kind>,
}

/// A part of what a connection sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// The interim answer. Whether it is due depends on what has arrived behind the head.
    Continue,
    /// An answer or a message.
    Bytes(Vec<u8>),
    /// The answer to a request that is refused, without its date. Of two faults, either may be the
    /// reason.
    Refused(Vec<u8>),
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// The app has not answered yet; the flag says that this is the last answer.
    Waits(bool),
    Stream,
    Upgraded,
    /// It has sent its last answer, or will.
    Ended,
}

/// A connection by the rules.
#[derive(Debug)]
pub(super) struct Model {
    id: u64,
    stage: Stage,
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

/// A request whose head has arrived.
#[derive(Debug)]
struct Request {
    head: Vec<u8>,
    head_only: bool,
    keep_alive: bool,
    body: Vec<u8>,
}

impl Model {
    pub(super) fn new(id: u64, rules: &Rules) -> Self {
        Self {
            id,
            stage: Stage::Open,
            decoder: Decoder::new(rules.limits),
            input: Vec::new(),
            request: None,
            answered: 0,
            answer: Vec::new(),
            sent: Vec::new(),
            seen: Vec::new(),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    pub(super) fn waits_for_reply(&self) -> bool {
        matches!(self.stage, Stage::Waits(_))
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.stage, Stage::Stream | Stage::Upgraded)
    }

    /// One read has returned `part`.
    pub(super) fn receive(&mut self, part: &[u8], rules: &Rules) {
        match self.stage {
            Stage::Open => {
                self.input.extend_from_slice(part);
                self.decode(rules);
            }
            Stage::Waits(_) => self.input.extend_from_slice(part),
            Stage::Upgraded => self.pass(part.to_vec()),
            Stage::Stream | Stage::Ended => {}
        }
    }

    /// The app answers.
    pub(super) fn reply(&mut self, rules: &Rules) {
        let Stage::Waits(is_last) = self.stage else {
            return;
        };
        self.sent
            .push(Sent::Bytes(std::mem::take(&mut self.answer)));
        self.stage = if is_last { Stage::Ended } else { Stage::Open };
        self.decode(rules);
    }

    /// The app sends a message.
    pub(super) fn deliver(&mut self, message: &[u8]) {
        if self.is_stream() {
            self.sent.push(Sent::Bytes(message.to_vec()));
        }
    }

    /// The app ends a stream.
    pub(super) fn end_stream(&mut self, last: &[u8]) {
        if self.is_stream() {
            self.sent.push(Sent::Bytes(last.to_vec()));
            self.stage = Stage::Ended;
        }
    }

    /// The client sends no more: the connection ends.
    pub(super) fn end(&mut self) {
        self.stage = Stage::Ended;
    }

    fn pass(&mut self, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        // Reads may be joined.
        if let Some(Seen::Passed { bytes: before, .. }) = self.seen.last_mut() {
            return before.extend(bytes);
        }
        let from = self.id;
        self.seen.push(Seen::Passed { from, bytes });
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
                self.answer(request, rules);
            }
        }
        true
    }

    fn answer(&mut self, request: Request, rules: &Rules) {
        let Request {
            head,
            head_only,
            keep_alive,
            body,
        } = request;
        let shows = |bytes, takes: &[Takes]| match takes.contains(&rules.takes) {
            true => bytes,
            false => Vec::new(),
        };
        self.seen.push(Seen::Request {
            from: self.id,
            head_only,
            keep_alive,
            head: shows(head, &[Takes::Whole]),
            body: shows(body, &[Takes::Whole, Takes::Bodies]),
        });
        let number = self.answered;
        self.answered += 1;
        let kind = rules.plan[number % rules.plan.len()];
        let answer = Probe::answer(kind, number, head_only, keep_alive);
        self.stage = match kind {
            Kind::Later => {
                self.answer = answer;
                self.stage = Stage::Waits(!keep_alive);
                return;
            }
            Kind::Stream => Stage::Stream,
            Kind::Upgrade => Stage::Upgraded,
            Kind::Whole(_) | Kind::Shared if keep_alive => Stage::Open,
            Kind::Whole(_) | Kind::Shared => Stage::Ended,
        };
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
        self.stage = Stage::Ended;
    }
}

fn without_empty_lines(mut input: &[u8]) -> &[u8] {
    while let Some(rest) = input.strip_prefix(b"\r\n") {
        input = rest;
    }
    input
}
