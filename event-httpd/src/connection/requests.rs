//! Requests: from received bytes to answers in the worker's batch.

use std::borrow::Cow;
use std::rc::Rc;

use super::input::Partial;
use super::{Connection, Decoding, Stage, State};
use crate::answer::field_lines;
use crate::app::{Answer, Request};
use crate::outbox::Part;
use crate::time;
use crate::worker::{Budget, HeadHash, http_date};
use http_framing::{Item, Method, Refusal, Status, response};

const TOO_MANY_BODIES: Refusal = Refusal::new(
    Status::ServiceUnavailable,
    "this server is receiving too many request bodies",
);

/// A request whose head has arrived.
#[derive(Debug)]
pub(super) struct Pending {
    head_only: bool,
    keep_alive: bool,
    head: Box<[u8]>, // empty unless the app takes heads
}

/// A request in the input whose head was accepted before.
struct Recalled<'a> {
    bytes: &'a [u8],
    head_only: bool,
}

/// What to do after one item of the input.
enum Step<'a> {
    /// Wait for more bytes, or for room.
    Wait,
    /// Write this.
    Write(Part),
    /// Answer a request whose head was accepted before.
    Recalled { head_only: bool, keep_alive: bool },
    /// Answer this request, with this body.
    Answer(Pending, Cow<'a, [u8]>),
}

impl Connection {
    /// Answers the complete requests in the undecoded bytes and `fresh`, as far as the queue
    /// allows.
    pub(super) fn serve(self: &Rc<Self>, mut fresh: &[u8]) {
        self.queue_messages_so_far(); // answers follow it
        let before = self.worker.counters().requests.get();
        let waits = !fresh.is_empty() && self.state.borrow().pipelines;
        let mut budget = self.worker.budget(waits);
        loop {
            self.decode(fresh, &mut budget);
            fresh = &[];
            if !self.flush() || self.state.borrow().decoding != Decoding::OutboxFull {
                break;
            }
        }
        let answered = self.worker.counters().requests.get() - before;
        let decoding = {
            let state = &mut *self.state.borrow_mut();
            state.pipelines = answered > 1 || state.decoding == Decoding::Yielded;
            state.decoding
        };
        if matches!(decoding, Decoding::Yielded | Decoding::OutboxFull) {
            self.suspend();
        }
        self.take_unread();
        self.update_deadline(time::now(), answered > 0);
    }

    /// Arranges when decoding resumes: in the next turn, or when the outbox is empty.
    fn suspend(self: &Rc<Self>) {
        {
            let state = &mut *self.state.borrow_mut();
            if !state.outbox.is_empty() {
                state.decoding = Decoding::OutboxFull;
            }
            if state.decoding == Decoding::OutboxFull || state.stage == Stage::Closed {
                // `outbox_emptied` resumes
            } else if self.worker.go_on_next_turn(Rc::clone(self)) {
                return;
            } else {
                state.decoding = Decoding::Running; // the unread bytes are decoded with the next read
            }
        }
        self.update_reading();
    }

    /// Goes on decoding in the next turn.
    pub(crate) fn go_on(self: &Rc<Self>) {
        self.guarded(|connection| {
            let yielded = connection.state.borrow().decoding == Decoding::Yielded;
            if yielded {
                connection.state.borrow_mut().decoding = Decoding::Running;
                connection.serve(&[]);
                if connection.state.borrow().decoding != Decoding::Yielded {
                    connection.update_reading();
                }
            }
        });
    }

    /// Puts answers into the worker's batch until the bytes are used up or the queue is full.
    fn decode(self: &Rc<Self>, fresh: &[u8], budget: &mut Budget) {
        let mut left = self.state.borrow_mut().input.take_unread();
        let unread = if left.is_empty() {
            let used = self.decode_all(fresh, budget);
            fresh.get(used..).unwrap_or_default().to_vec()
        } else {
            left.extend_from_slice(fresh);
            let used = self.decode_all(&left, budget);
            left.drain(..used);
            if left.is_empty() { Vec::new() } else { left }
        };
        let holds = {
            let state = &mut *self.state.borrow_mut();
            let holds = state.overhead > 0 || !unread.is_empty() || state.input.body_length() > 0;
            state.input.set_unread(unread, self.worker.spare_input());
            state.input.settle(self.worker.spare_input());
            holds
        };
        if holds {
            self.count_memory();
            self.worker.limit_memory();
        }
    }

    /// Returns how many bytes of `input` were used.
    fn decode_all(self: &Rc<Self>, input: &[u8], budget: &mut Budget) -> usize {
        let mut rest = input;
        let mut last = None;
        loop {
            // No borrow is held while the app answers: it may queue a message to this peer.
            let length = match self.step(&mut rest, &mut last, *budget) {
                Step::Wait => break,
                Step::Write(part) => {
                    let length = part.len();
                    self.worker.batch().borrow_mut().push(part);
                    length
                }
                Step::Recalled {
                    head_only,
                    keep_alive,
                } => {
                    let answer = self.ask_app(head_only, keep_alive, &[], &[]);
                    match self.begin(answer) {
                        Some(length) => length,
                        None => break,
                    }
                }
                Step::Answer(pending, body) => {
                    let Pending {
                        head_only,
                        keep_alive,
                        head,
                    } = &pending;
                    let answer = self.ask_app(*head_only, *keep_alive, head, &body);
                    match self.begin(answer) {
                        Some(length) => length,
                        None => break,
                    }
                }
            };
            budget.spend(length);
            self.worker.spend(length);
            if rest.is_empty() && self.state.borrow().input.is_at_start() {
                break;
            }
        }
        input.len() - rest.len()
    }

    /// The app's answer to a request.
    pub(super) fn ask_app(
        self: &Rc<Self>,
        head_only: bool,
        keep_alive: bool,
        head: &[u8],
        body: &[u8],
    ) -> Answer {
        self.worker.answer(&Request {
            from: self.id(),
            head_only,
            keep_alive,
            head,
            body,
            date: None,
        })
    }

    /// Takes one item off the front of `rest`.
    fn step<'a>(
        &self,
        rest: &mut &'a [u8],
        last: &mut Option<Recalled<'a>>,
        budget: Budget,
    ) -> Step<'a> {
        let state = &mut *self.state.borrow_mut();
        if !state.stage.is_open() {
            state.decoding = Decoding::Running;
            return Step::Wait;
        }
        let unsent = self.worker.batch().borrow().len() + state.outbox.len();
        if unsent >= self.worker.config().max_queue() {
            state.decoding = Decoding::OutboxFull;
            return Step::Wait;
        }
        if budget.is_spent() && !rest.is_empty() {
            state.decoding = Decoding::Yielded;
            return Step::Wait;
        }
        state.decoding = Decoding::Running;
        if state.input.is_at_start() {
            if rest.is_empty() {
                return Step::Wait;
            }
            if let Some(head_only) = self.recall(rest, last) {
                return Step::Recalled {
                    head_only,
                    keep_alive: self.keeps_alive(state, true, rest.is_empty()),
                };
            }
        }
        self.decode_request(state, rest)
    }

    /// Takes the items of one request off the front of `rest`, until there is something to do.
    fn decode_request<'a>(&self, state: &mut State, rest: &mut &'a [u8]) -> Step<'a> {
        let mut lent: Option<&'a [u8]> = None; // the beginning of the body, perhaps all of it
        loop {
            let partial = state.input.partial(self.worker.spare_input());
            let decoded = match partial.decoder.decode(rest) {
                Ok(decoded) => decoded,
                Err(refusal) => return Step::Write(self.refusal(state, &refusal, rest)),
            };
            let used = rest.get(..decoded.used).unwrap_or_default();
            *rest = rest.get(decoded.used..).unwrap_or_default();
            if !matches!(decoded.item, Item::End)
                && let Some(part) = lent.take()
                && !self.keep_body(partial, part)
            {
                return Step::Write(self.refusal(state, &TOO_MANY_BODIES, b""));
            }
            match decoded.item {
                Item::NeedMore => return Step::Wait,
                Item::Head(head) => {
                    let head_only = head.method == Method::Head;
                    self.worker
                        .note_head(used, HeadHash::of(used), &head, head_only);
                    partial.request = Some(Pending {
                        head_only,
                        keep_alive: head.keep_alive,
                        head: if self.worker.takes().keeps_heads() {
                            used.into()
                        } else {
                            Box::default()
                        },
                    });
                    if head.expects_continue && rest.is_empty() {
                        return Step::Write(self.worker.buffer(response::CONTINUE.to_vec()).into());
                    }
                }
                Item::Body(part) if self.worker.takes().keeps_bodies() => {
                    if partial.body_length() == 0 {
                        lent = Some(part);
                    } else if !self.keep_body(partial, part) {
                        return Step::Write(self.refusal(state, &TOO_MANY_BODIES, b""));
                    }
                }
                Item::Body(_) => {}
                Item::End => {
                    let (pending, kept) = partial.take_request();
                    let pending = self.complete(state, pending, rest.is_empty());
                    let body = match lent {
                        Some(whole) => Cow::Borrowed(whole),
                        None => {
                            self.worker.release_body(kept.len());
                            Cow::Owned(kept)
                        }
                    };
                    return Step::Answer(pending, body);
                }
            }
        }
    }

    /// Keeps a part of a body that is not complete. False when there is no memory for it.
    fn keep_body(&self, partial: &mut Partial, part: &[u8]) -> bool {
        let length = partial.body_length() + part.len();
        let taken = self.worker.take_body(self.id(), length, part.len());
        if taken {
            partial.grow_body(part);
        }
        taken
    }

    /// Takes a request off the front of `rest` whose head was accepted before, unless the app
    /// wants to see it. Returns whether it is a `HEAD`. `last` is the one before: a pipeline often
    /// has the same request many times.
    fn recall<'a>(&self, rest: &mut &'a [u8], last: &mut Option<Recalled<'a>>) -> Option<bool> {
        if let Some(last) = last
            && let Some(after) = rest.strip_prefix(last.bytes)
        {
            *rest = after;
            return Some(last.head_only);
        }
        if self.worker.takes().keeps_heads() {
            return None;
        }
        let known = self.worker.known_head(rest, HeadHash::of(rest))?;
        let (bytes, after) = rest.split_at_checked(known.length)?;
        *rest = after;
        *last = Some(Recalled {
            bytes,
            head_only: known.head_only,
        });
        Some(known.head_only)
    }

    /// The request that has just become complete.
    fn complete(&self, state: &mut State, pending: Option<Pending>, nothing_left: bool) -> Pending {
        let pending = pending.unwrap_or(Pending {
            head_only: false,
            keep_alive: false,
            head: Box::default(),
        });
        Pending {
            keep_alive: self.keeps_alive(state, pending.keep_alive, nothing_left),
            ..pending
        }
    }

    /// Whether the connection stays open after the answer to a complete request; `wanted` says
    /// that its head does not end it.
    fn keeps_alive(&self, state: &mut State, wanted: bool, nothing_left: bool) -> bool {
        let keep_alive = wanted && !self.worker.is_stopping();
        if !keep_alive {
            // A peer that did not ask for the end may be sending its next request.
            state.stage = if nothing_left && !wanted {
                Stage::Last
            } else {
                Stage::LastThenLinger
            };
        }
        keep_alive
    }

    /// The last answer. `input` begins with the head of the refused request, unless that was
    /// taken before.
    fn refusal(&self, state: &mut State, refusal: &Refusal, input: &[u8]) -> Part {
        tracing::debug!(peer = self.peer(), "refused: {refusal}");
        self.worker.counters().refusals.add(1);
        state.stage = Stage::LastThenLinger;
        self.drop_body(state);
        let request = state.input.take_request();
        let (head, head_only) = match &request {
            Some(request) => (&*request.head, request.head_only),
            None => (head_of(input), asks_for_head(input)),
        };
        let mut fields = self.worker.app().refusal_fields(head);
        field_lines(&mut fields, self.worker.config().headers());
        let mut bytes = Vec::new();
        response::refusal(&mut bytes, refusal, &http_date(), &fields, head_only);
        self.worker.buffer(bytes).into()
    }

    /// Refuses a request whose body has to make room for others. It uses neither the batch nor
    /// the read buffer, which another connection may be using.
    pub(crate) fn refuse_body(self: &Rc<Self>) {
        self.queue_messages_so_far();
        {
            let state = &mut *self.state.borrow_mut();
            let part = self.refusal(state, &TOO_MANY_BODIES, b"");
            state.outbox.push(part);
            state.queued = true;
        }
        self.worker.note_queued(Rc::clone(self));
    }

    /// Answers with an error status, and ends the connection.
    pub(super) fn refuse(self: &Rc<Self>, refusal: Refusal) {
        self.queue_messages_so_far();
        if self.state.borrow().stage.is_open() {
            let part = self.refusal(&mut self.state.borrow_mut(), &refusal, b"");
            self.worker.batch().borrow_mut().push(part);
            self.flush();
            self.update_deadline(time::now(), true);
        } else {
            self.close();
        }
    }
}

/// The head that `input` begins with; empty when it has no end there.
fn head_of(input: &[u8]) -> &[u8] {
    const END: &[u8] = b"\r\n\r\n";
    let input = without_empty_lines(input);
    let end = input.windows(END.len()).position(|part| part == END);
    end.and_then(|end| input.get(..end + END.len()))
        .unwrap_or_default()
}

/// Whether a request that was refused in its head is a `HEAD`.
fn asks_for_head(input: &[u8]) -> bool {
    without_empty_lines(input).starts_with(b"HEAD ")
}

/// What follows the empty lines that may precede a request. Two of them look like the end of
/// a head.
fn without_empty_lines(mut input: &[u8]) -> &[u8] {
    while let Some(rest) = input.strip_prefix(b"\r\n") {
        input = rest;
    }
    input
}
