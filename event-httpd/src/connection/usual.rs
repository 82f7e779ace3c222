//! The usual request: its head was accepted before, nothing else has arrived, and nothing waits
//! to be written. Its answer goes to the socket without a detour through the batch and the outbox;
//! everything else about it is as in [`serve`](Connection::serve).

use std::io::Write as _;
use std::rc::Rc;
use std::time::Instant;

use super::{Connection, Decoding, Stage, State};
use crate::app::{Answer, Takes};

impl State {
    /// Whether a request may start with the next byte, and its answer would be the next to leave.
    fn is_quiet(&self) -> bool {
        self.stage == Stage::Open
            && self.decoding == Decoding::Running
            && self.input.is_empty()
            && self.outbox.is_empty()
            && self.write.is_none()
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
            || worker.turn_length() > 0
            || !self.state.borrow().is_quiet()
        {
            return false;
        }
        let known = worker.known_head(bytes);
        let Some(known) = known.filter(|known| known.length == bytes.len()) else {
            return false;
        };
        let now = Instant::now();
        match self.ask_app(known.head_only, true, &[], &[]) {
            Answer::Whole(part) => {
                worker.spend(part.len());
                // An error comes again in `flush`, where the connection is closed.
                let written = (&self.stream).write(part.as_slice()).unwrap_or_default();
                if written == part.len() {
                    self.update_deadline(now, true);
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
}
