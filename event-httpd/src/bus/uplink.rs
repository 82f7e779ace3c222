//! The worker's line to the master, which passes messages on to the other workers.

use std::rc::Rc;

use super::frame::Kind;
use super::link::{Incoming, Link};
use crate::buffer::Buffer;
use php_event::stream::Stream;
use php_event::{EventBase, Result};

/// A worker's end of the bus. A published message reaches every other worker once, after those
/// that this worker published before.
pub(crate) struct Uplink {
    link: Rc<Link>,
}

/// What the bus reports to its worker.
pub(crate) enum Notice {
    /// Another worker published this.
    Message(Vec<u8>),
    /// The queue has room again, or is empty.
    Room,
    /// Another worker has this worker's slot.
    Replaced,
    /// The line is closed, so the master has ended.
    Lost,
}

impl Uplink {
    /// Joins the bus over `line`, whose other end the master has.
    pub(crate) fn join(
        base: &EventBase,
        line: Stream,
        longest: usize,
        notify: impl Fn(Notice) + 'static,
    ) -> Result<Self> {
        let handler = Box::new(move |link: &Rc<Link>, incoming| match incoming {
            Incoming::Frame(Kind::Message, payload) => notify(Notice::Message(payload)),
            Incoming::Frame(Kind::Ping, _) => {
                link.queue(Kind::Pong, None);
                link.flush();
            }
            Incoming::Frame(Kind::Replaced, _) => notify(Notice::Replaced),
            Incoming::Frame(..) | Incoming::ReadDone => {}
            Incoming::Room => notify(Notice::Room),
            Incoming::Closed => notify(Notice::Lost),
        });
        Ok(Self {
            link: Link::open(base, line, longest, handler)?,
        })
    }

    /// Tells the master that this worker accepts connections.
    pub(crate) fn send_ready(&self) {
        self.send(Kind::Ready);
    }

    /// Asks the master for a replacement.
    pub(crate) fn request_replacement(&self) {
        self.send(Kind::Retire);
    }

    fn send(&self, kind: Kind) {
        self.link.queue(kind, None);
        self.link.flush();
    }

    /// Queues a message for all other workers; [`flush`](Self::flush) sends it.
    pub(crate) fn publish(&self, message: Rc<Buffer>) {
        self.link.queue(Kind::Message, Some(message));
    }

    /// Sends what is queued, as far as there is room.
    pub(crate) fn flush(&self) {
        self.link.flush();
    }

    /// Starts or stops reading what other workers publish.
    pub(crate) fn set_reading(&self, on: bool) {
        self.link.set_reading(on);
    }

    /// Whether the queue is so long that senders must be held back. A [`Notice::Room`] follows.
    pub(crate) fn is_full(&self) -> bool {
        self.link.is_full()
    }

    /// Whether everything published has left this process.
    pub(crate) fn is_drained(&self) -> bool {
        self.link.is_empty()
    }
}
