//! What the server's programs do with their connections: one file each.
//!
//! A new app is a new file with an [`App`], and a line in [`of`].

mod broadcast;
mod status;

use std::rc::Rc;

use crate::config::{Config, Program};
use crate::outbox::Part;
use crate::worker::Worker;
use php_event::Event;

use broadcast::Broadcast;
use status::Status;

/// One complete request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// The number of the connection that sent it.
    pub(crate) from: u64,
    /// Whether it is a `HEAD`: the answer has no body.
    pub(crate) head_only: bool,
    /// Whether the connection stays open after the answer.
    pub(crate) keep_alive: bool,
    /// Its body; empty unless the app takes bodies.
    pub(crate) body: &'a [u8],
    /// The current date, if answers have a `Date`.
    pub(crate) date: Option<&'a str>,
}

/// What one read of a connection returned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// The number of the connection.
    pub(crate) from: u64,
    /// What was read.
    pub(crate) bytes: &'a [u8],
    /// The current date, if answers have a `Date`.
    pub(crate) date: Option<&'a str>,
}

/// What an app takes from its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Requests. Their bodies are read and dropped. Reading stops while answers wait.
    Requests,
    /// Requests with their bodies. Messages that wait do not stop reading.
    Bodies,
    /// Whatever each read returns.
    Reads,
}

/// A program on the server. All methods run on the worker's thread, inside event callbacks.
pub(crate) trait App {
    /// What it takes, the same for all connections.
    fn takes(&self) -> Takes;

    /// The listener's event was made, or the read event of a connection; `id` is the stream's
    /// number.
    fn opened(&self, _id: u64, _event: &Event) {}

    /// The stream with that number closes.
    fn closed(&self, _id: u64) {}

    /// An event became pending, or is no longer pending.
    fn changed(&self) {}

    /// Answers a request.
    fn answer(&self, worker: &Rc<Worker>, request: Request<'_>) -> Part;

    /// Takes what one read returned, if the app takes reads.
    fn received(&self, _worker: &Rc<Worker>, _received: Received<'_>) {}
}

/// The app of a configuration.
pub(crate) fn of(config: &Config) -> Box<dyn App> {
    let headers = config.headers().to_vec();
    match config.program() {
        Program::Serve => Box::new(Status::new(headers)),
        Program::Broadcast { framing, deliver } => {
            Box::new(Broadcast::new(headers, framing, deliver))
        }
    }
}
