//! What the server's programs do with their connections: one file each.

mod status;

use crate::Event;

pub(crate) use status::Status;

use super::outbox::Part;

/// What an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    /// A `HEAD`: the answer has no body.
    pub(crate) head_only: bool,
    /// Whether the connection stays after the answer.
    pub(crate) keep_alive: bool,
}

/// A program on the server. All its methods run on the worker's thread, inside callbacks.
pub(crate) trait App {
    /// The listener's event, then each connection's read event, under its stream's number.
    fn opened(&self, id: u64, event: &Event);

    /// The stream with that number is going.
    fn closed(&self, id: u64);

    /// An event's `pending` changed.
    fn changed(&self);

    /// Answers one complete request; `date` is now, where answers have a `Date`.
    fn answer(&self, request: Request, date: Option<&str>) -> Part;
}
