//! An app that answers by a plan, and tells what it was asked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use crate::app::{self, Answer, App, Due, Parting, Received, Request};
use crate::time;
use crate::worker::Worker;

/// The time between two messages that keep a stream open.
pub const BEAT: Duration = Duration::from_secs(5);

/// How many of them a stream gets. Then it ends.
const BEATS: usize = 2;

/// What a stream gets when the server stops.
pub const LAST_BYTES: &[u8] = b"stops";

/// What a stream gets when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// A message, and another one [`BEAT`] later.
    Goes,
    /// Its last bytes.
    Ends,
}

impl Beat {
    /// The beat number `number` of a stream.
    #[must_use]
    pub fn of(number: usize) -> Self {
        match number < BEATS {
            true => Self::Goes,
            false => Self::Ends,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Goes => b"beat",
            Self::Ends => b"silence",
        }
    }
}

/// What the app takes of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Requests alone.
    Requests,
    /// Their bodies, too.
    Bodies,
    /// Their heads and bodies, too.
    Whole,
    /// Whatever each read returns.
    Reads,
}

/// The kind of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One part of that length.
    Whole(usize),
    /// Several parts.
    Shared,
    /// It comes when [`Server::reply`](crate::Server::reply) is called.
    Later,
    /// One without an end.
    Stream,
    /// It leaves HTTP.
    Upgrade,
}

/// What the app has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A request.
    Request {
        /// The number of its connection.
        from: u64,
        /// Whether it is a `HEAD`.
        head_only: bool,
        /// Whether the connection stays open after the answer.
        keep_alive: bool,
        /// Its head, without the empty lines before it.
        head: Vec<u8>,
        /// Its body.
        body: Vec<u8>,
    },
    /// What arrived on an upgraded connection.
    Passed {
        /// The number of the connection.
        from: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
}

/// An app whose answers repeat a list of kinds.
#[derive(Debug)]
pub struct Probe {
    takes: Takes,
    plan: Vec<Kind>,
    shared: Rc<Shared>,
}

/// What the app shares with its server.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) seen: RefCell<Vec<Seen>>,
    answered: RefCell<BTreeMap<u64, usize>>,
    waiting: RefCell<BTreeMap<u64, Vec<u8>>>,
    beats: RefCell<BTreeMap<u64, usize>>,
    pub(crate) opened: RefCell<Vec<u64>>, // since they were looked at
    pass: RefCell<BTreeMap<u64, Answered>>,
}

/// What was answered in one pass of the loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Requests.
    pub requests: usize,
    /// The bytes of all answers but the last.
    pub bytes: usize,
    last: usize,
}

impl Shared {
    /// The answer for which a connection waits.
    pub(crate) fn take_waiting(&self, id: u64) -> Option<Vec<u8>> {
        self.waiting.borrow_mut().remove(&id)
    }

    /// What was answered since the last call, on each connection.
    pub(crate) fn take_pass(&self) -> Vec<Answered> {
        self.pass.take().into_values().collect()
    }

    fn count(&self, id: u64, length: usize) {
        let pass = &mut *self.pass.borrow_mut();
        let answered = pass.entry(id).or_default();
        answered.requests += 1;
        answered.bytes += answered.last;
        answered.last = length;
    }

    /// How many connections it knows.
    pub(crate) fn connections(&self) -> usize {
        self.answered.borrow().len()
    }
}

impl Probe {
    /// An app whose answer number `n` of each connection is of the kind `plan[n % plan.len()]`.
    #[must_use]
    pub fn new(takes: Takes, plan: Vec<Kind>) -> Self {
        Self {
            takes,
            plan,
            shared: Rc::default(),
        }
    }

    pub(crate) fn shared(&self) -> Rc<Shared> {
        Rc::clone(&self.shared)
    }

    /// The answer number `number` of a connection, which tells what the request was.
    #[must_use]
    pub fn answer(kind: Kind, number: usize, head_only: bool, keep_alive: bool) -> Vec<u8> {
        let text = format!("[{number} {kind:?} {head_only} {keep_alive}]");
        let length = match kind {
            Kind::Whole(length) => length.max(text.len()),
            _ => text.len(),
        };
        let mut answer = text.repeat(length.div_ceil(text.len())).into_bytes();
        answer.truncate(length);
        answer
    }

    /// The fields of an answer that refuses a request with this head.
    #[must_use]
    pub fn refusal_fields(head: &[u8]) -> Vec<u8> {
        format!("X-Head: {}\r\n", head.escape_ascii()).into_bytes()
    }
}

impl App for Probe {
    fn takes(&self) -> app::Takes {
        match self.takes {
            Takes::Requests => app::Takes::Requests,
            Takes::Bodies => app::Takes::Bodies,
            Takes::Whole => app::Takes::Whole,
            Takes::Reads => app::Takes::Reads,
        }
    }

    fn opened(&self, id: u64, _event: &php_event::Event) {
        self.shared.answered.borrow_mut().insert(id, 0);
        self.shared.opened.borrow_mut().push(id);
    }

    fn closed(&self, _worker: &Worker, id: u64) {
        self.shared.answered.borrow_mut().remove(&id);
        self.shared.waiting.borrow_mut().remove(&id);
        self.shared.beats.borrow_mut().remove(&id);
    }

    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer {
        let head = without_empty_lines(request.head);
        self.shared.seen.borrow_mut().push(Seen::Request {
            from: request.from,
            head_only: request.head_only,
            keep_alive: request.keep_alive,
            head: head.to_vec(),
            body: request.body.to_vec(),
        });
        let number = {
            let mut answered = self.shared.answered.borrow_mut();
            let count = answered.entry(request.from).or_default();
            *count += 1;
            *count - 1
        };
        let kind = self.plan[number % self.plan.len()];
        let bytes = Self::answer(kind, number, request.head_only, request.keep_alive);
        self.shared.count(request.from, bytes.len());
        let due = time::now() + BEAT;
        let part = |bytes: &[u8]| worker.buffer(bytes.to_vec()).into();
        match kind {
            Kind::Whole(_) => Answer::Whole(part(&bytes)),
            Kind::Shared => Answer::Shared(bytes.chunks(3).map(part).collect()),
            Kind::Later => {
                let mut waiting = self.shared.waiting.borrow_mut();
                let before = waiting.insert(request.from, bytes);
                assert_eq!(before, None, "a request before the answer to another");
                Answer::Later
            }
            Kind::Stream => Answer::Stream {
                head: part(&bytes),
                due,
            },
            Kind::Upgrade => Answer::Upgrade {
                head: part(&bytes),
                due,
            },
        }
    }

    fn refusal_fields(&self, head: &[u8]) -> Vec<u8> {
        Self::refusal_fields(without_empty_lines(head))
    }

    fn received(&self, _worker: &Rc<Worker>, received: Received<'_>) {
        self.shared.seen.borrow_mut().push(Seen::Passed {
            from: received.from,
            bytes: received.bytes.to_vec(),
        });
    }

    fn due(&self, worker: &Rc<Worker>, id: u64) -> Due {
        let beats = &mut *self.shared.beats.borrow_mut();
        let number = beats.entry(id).or_default();
        let beat = Beat::of(*number);
        *number += 1;
        let bytes = worker.buffer(beat.bytes().to_vec());
        match beat {
            Beat::Goes => Due::Send(bytes, time::now() + BEAT),
            Beat::Ends => Due::End(Some(bytes)),
        }
    }

    fn stops(&self, worker: &Rc<Worker>, _id: u64) -> Parting {
        Parting::Now(Some(worker.buffer(LAST_BYTES.to_vec())))
    }
}

fn without_empty_lines(mut head: &[u8]) -> &[u8] {
    while let Some(rest) = head.strip_prefix(b"\r\n") {
        head = rest;
    }
    head
}
