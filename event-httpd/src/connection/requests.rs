//! Requests: from what was read to answers in the worker's batch.

use std::mem;
use std::rc::Rc;
use std::time::Instant;

use super::{Connection, Stage, State};
use crate::app::{Request, Takes};
use crate::outbox::Part;
use crate::worker;
use http_framing::{Item, Method, Refusal, Status, response};

const TOO_MANY_BODIES: Refusal = Refusal::new(
    Status::ServiceUnavailable,
    "too many request bodies are on their way to this server",
);
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

impl Connection {
    /// Answers what is complete in what was left and `fresh`, as far as the queue allows.
    pub(super) fn serve(self: &Rc<Self>, mut fresh: &[u8]) {
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
        response::refusal(&mut bytes, refusal, &worker::http_date(), head_only);
        bytes.into()
    }

    /// Answers with an error status, and ends the connection.
    pub(super) fn refuse(self: &Rc<Self>, refusal: Refusal) {
        if self.state.borrow().stage == Stage::Open {
            let part = self.refusal(&mut self.state.borrow_mut(), &refusal, false);
            self.worker.batch().borrow_mut().push(part);
            self.flush();
            self.watch(Instant::now(), true);
        } else {
            self.close();
        }
    }
}

/// Whether a request that was refused in its head is a `HEAD`.
fn asks_for_head(input: &[u8]) -> bool {
    input.trim_ascii_start().starts_with(b"HEAD ")
}
