//! The usual request: nothing else has arrived, it has no body, and nothing waits to be written.
//! Its answer goes to the socket without a detour through the batch and the outbox; everything else
//! about it is as in [`serve`](Connection::serve).

use std::io::Write as _;
use std::rc::Rc;

use super::{Connection, Decoding, Stage, State};
use crate::app::{Answer, Takes};
use crate::time;
use crate::worker::HeadHash;
use http_framing::{Decoded, Decoder, Item, Method};

/// What a usual request asks for.
struct Usual {
    head_only: bool,
    keep_alive: bool,
}

impl State {
    /// Whether a request may start with the next byte, and its answer would be the next to leave.
    fn is_quiet(&self) -> bool {
        self.stage == Stage::Open
            && self.decoding == Decoding::Running
            && self.input.is_empty()
            && self.outbox.is_empty()
            && !self.outbox.is_blocked()
            && !self.pipelines // `serve` forgets that it did
    }
}

impl Connection {
    /// Answers `bytes` if they are one usual request. False when they are not: then nothing has
    /// happened.
    pub(super) fn serve_usual(self: &Rc<Self>, bytes: &[u8]) -> bool {
        let worker = &self.worker;
        if worker.takes() != Takes::Requests
            || worker.is_stopping()
            || worker.turn_is_spent()
            || worker.has_messages()
            || !self.state.borrow().is_quiet()
        {
            return false;
        }
        let Some(request) = self.usual(bytes) else {
            return false;
        };
        let now = time::now();
        if !request.keep_alive {
            self.state.borrow_mut().stage = Stage::Last;
        }
        match self.ask_app(request.head_only, request.keep_alive, &[], &[]) {
            Answer::Whole(part) => {
                worker.spend(part.len());
                // An error comes again in `flush`, where the connection is closed.
                let written = (&self.socket).write(part.as_slice()).unwrap_or_default();
                if written == part.len() {
                    if request.keep_alive || self.continue_or_end() {
                        self.update_deadline(now, true);
                    }
                    return true;
                }
                worker
                    .batch()
                    .borrow_mut()
                    .push(part.without_first(written));
            }
            answer => {
                let length = self.begin(answer).unwrap_or_default();
                worker.spend(length);
            }
        }
        self.flush();
        self.update_deadline(now, true);
        true
    }

    /// What `bytes` ask for if they are one request without a body.
    fn usual(&self, bytes: &[u8]) -> Option<Usual> {
        let hash = HeadHash::of(bytes);
        if let Some(known) = self.worker.known_head(bytes, hash) {
            let is_all = known.length == bytes.len();
            return is_all.then_some(Usual {
                head_only: known.head_only,
                keep_alive: true,
            });
        }
        if !bytes.ends_with(b"\r\n\r\n") {
            return None; // `serve` need not decode most heads with a body again
        }
        let mut decoder = Decoder::new(self.worker.config().limits());
        let Ok(Decoded {
            used,
            item: Item::Head(head),
        }) = decoder.decode(bytes)
        else {
            return None;
        };
        if used < bytes.len() || !head.body.is_empty() {
            return None;
        }
        let head_only = head.method == Method::Head;
        self.worker.note_head(bytes, hash, &head, head_only);
        Some(Usual {
            head_only,
            keep_alive: head.keep_alive,
        })
    }
}
