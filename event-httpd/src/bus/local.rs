//! The worker's end of its line to the master, which passes on what it is sent.

use std::rc::Rc;

use super::frame::Kind;
use super::link::{Incoming, Link};
use super::{Bus, Notice};
use php_event::stream::Stream;
use php_event::{EventBase, Result};

/// The bus of the workers of one machine: a star, with the master in the middle.
pub(crate) struct LocalBus {
    link: Rc<Link>,
}

impl LocalBus {
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
                link.queue(Kind::Pong, Rc::default());
                link.flush();
            }
            Incoming::Frame(..) | Incoming::Pause => {}
            Incoming::Room => notify(Notice::Room),
            Incoming::Gone => notify(Notice::Lost),
        });
        Ok(Self {
            link: Link::open(base, line, longest, handler)?,
        })
    }

    /// Tells the master that this worker accepts.
    pub(crate) fn say_ready(&self) {
        self.say(Kind::Ready);
    }

    /// Asks the master for a replacement.
    pub(crate) fn ask_to_retire(&self) {
        self.say(Kind::Retire);
    }

    fn say(&self, kind: Kind) {
        self.link.queue(kind, Rc::default());
        self.link.flush();
    }

    /// Sends what was published in this turn of the loop.
    pub(crate) fn flush(&self) {
        self.link.flush();
    }
}

impl Bus for LocalBus {
    fn publish(&self, message: Rc<[u8]>) {
        self.link.queue(Kind::Message, message);
    }

    fn is_full(&self) -> bool {
        self.link.is_full()
    }

    fn is_drained(&self) -> bool {
        self.link.is_empty()
    }
}
