//! What the server's programs do with their connections: one file each.

mod broadcast;
mod status;

use std::rc::Rc;

use crate::config::{Config, Program};
use crate::outbox::Part;
use crate::worker::Worker;
use php_event::Event;

use broadcast::Broadcast;
use status::Status;

/// What an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// A `HEAD`: the answer has no body.
    pub(crate) head_only: bool,
    /// Whether the connection stays after the answer.
    pub(crate) keep_alive: bool,
}

/// What a program takes from its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Requests; their bodies are read and dropped. Reading stops while answers wait.
    Requests,
    /// Requests with their bodies. What the program sends on its own does not stop reading.
    Bodies,
    /// What each read returns, as it is.
    Reads,
}

/// A program on the server. All its methods run on the worker's thread, inside callbacks.
pub(crate) trait App {
    /// What it takes; the same for all connections.
    fn takes(&self) -> Takes;

    /// The listener's event, then each connection's read event, under its stream's number.
    fn opened(&self, _id: u64, _event: &Event) {}

    /// The stream with that number is going.
    fn closed(&self, _id: u64) {}

    /// An event's `pending` changed.
    fn changed(&self) {}

    /// Answers one complete request of connection `from`; `body` is empty unless it takes
    /// bodies, `date` is now, where answers have a `Date`.
    fn answer(
        &self,
        worker: &Rc<Worker>,
        from: u64,
        request: Request,
        body: &[u8],
        date: Option<&str>,
    ) -> Part;

    /// Takes what one read of connection `from` returned, where it takes reads.
    fn received(&self, _worker: &Rc<Worker>, _from: u64, _bytes: &[u8], _date: Option<&str>) {}
}

/// The program that the config names.
pub(crate) fn of(config: &Config) -> Box<dyn App> {
    let headers = config.headers.clone();
    match config.program {
        Program::Serve => Box::new(Status::new(headers)),
        Program::Broadcast {
            framing, deliver, ..
        } => Box::new(Broadcast::new(headers, framing, deliver)),
    }
}
