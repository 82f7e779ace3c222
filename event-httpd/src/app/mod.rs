//! What the server's programs do with their connections: one file each.
//!
//! A new app is a new file with an [`App`], and a line in [`of`].

mod broadcast;
mod hub;
mod status;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::bus::{Exchange, PassOn};
use crate::config::{Config, Program, StoreConfig};
use crate::outbox::Part;
use crate::worker::Worker;
use php_event::Event;

use broadcast::Broadcast;
use hub::{Hub, MemoryStore};
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
    /// Its head, as [`RequestHead`](http_framing::RequestHead) reads it; empty unless the app
    /// takes heads.
    pub(crate) head: &'a [u8],
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
    /// Requests with their heads and bodies. Messages that wait do not stop reading.
    Whole,
    /// Whatever each read returns.
    Reads,
}

impl Takes {
    /// Whether the heads of requests are kept.
    pub(crate) fn keeps_heads(self) -> bool {
        self == Self::Whole
    }

    /// Whether the bodies of requests are kept.
    pub(crate) fn keeps_bodies(self) -> bool {
        matches!(self, Self::Bodies | Self::Whole)
    }
}

/// What an app answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The whole answer.
    Whole(Part),
    /// The whole answer, in parts that other answers share.
    Shared(Rc<[Part]>),
    /// The head of an answer without an end. The connection takes no more requests, sends what
    /// the app queues, and drops what arrives.
    Stream {
        /// The head.
        head: Part,
        /// When [`App::due`] is called.
        due: Instant,
    },
    /// The head of an answer that leaves HTTP. The connection sends what the app queues, and
    /// passes what arrives to [`App::received`].
    Upgrade {
        /// The head.
        head: Part,
        /// When [`App::due`] is called.
        due: Instant,
    },
    /// None yet: the app calls [`Worker::reply`] later. The connection's next request waits.
    Later,
}

impl<T: Into<Part>> From<T> for Answer {
    fn from(whole: T) -> Self {
        Self::Whole(whole.into())
    }
}

/// What happens at the deadline that an app has set for a stream.
#[derive(Debug)]
pub(crate) enum Due {
    /// Bytes are sent, unless others wait for the peer, and there is another deadline.
    Send(Rc<Buffer>, Instant),
    /// The stream ends, after these last bytes.
    End(Option<Rc<Buffer>>),
}

/// When a stream ends that the server gives up, so that its peer connects again.
#[derive(Debug)]
pub(crate) enum Parting {
    /// At once, after these last bytes.
    Now(Option<Rc<Buffer>>),
    /// When the app ends it, or the grace period is over.
    Later,
}

/// What an app holds for its peers, as the log line of counters shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holdings {
    /// Connections that receive updates.
    pub(crate) subscribers: usize,
    /// Matchers of those subscribers that have received the history they asked for.
    pub(crate) subscriptions: usize,
    /// Requests and subscribers that wait for the store.
    pub(crate) store_waits: usize,
}

/// A program on the server. All methods run on the worker's thread, inside event callbacks.
pub(crate) trait App {
    /// What it takes, the same for all connections.
    fn takes(&self) -> Takes;

    /// The event of a listener was made; `id` is the stream's number.
    fn listening(&self, _id: u64, _event: &Event) {}

    /// The read event of a connection was made. It has no data.
    fn opened(&self, _id: u64, _event: &Event) {}

    /// The stream with that number closes.
    fn closed(&self, _worker: &Worker, _id: u64) {}

    /// The event of the stream with that number became pending, or is no longer pending.
    fn changed(&self, _id: u64, _event: &Event) {}

    /// The worker is about to accept connections: the app may add events of its own.
    ///
    /// # Errors
    /// The library's, when an event cannot be made.
    fn started(&self, _worker: &Rc<Worker>) -> php_event::Result<()> {
        Ok(())
    }

    /// Answers a request.
    fn answer(&self, worker: &Rc<Worker>, request: &Request<'_>) -> Answer;

    /// Header lines, each with its CR LF, for an answer that refuses a request before the app
    /// sees it. `head` is the head of that request, which may be malformed; empty if it has not
    /// arrived. The connection is borrowed meanwhile.
    fn refusal_fields(&self, _head: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    /// Takes what one read returned, if the app takes reads or the connection was upgraded.
    fn received(&self, _worker: &Rc<Worker>, _received: Received<'_>) {}

    /// How much memory the app itself holds for an upgraded connection, which it has counted in the
    /// worker's account.
    fn held(&self, _id: u64) -> usize {
        0
    }

    /// Takes what the master's [`Exchange`] sent: by default, a message for every connection.
    fn message(&self, worker: &Rc<Worker>, message: Vec<u8>) {
        worker.deliver(&worker.buffer(message), None);
    }

    /// [`Worker::wake_app`] was called, and the callback that called it is done.
    fn woken(&self, _worker: &Rc<Worker>) {}

    /// What it holds for its peers now.
    fn holdings(&self) -> Holdings {
        Holdings::default()
    }

    /// Whether the app has finished its work for closed connections. A stopping
    /// worker waits for it, within the grace period.
    fn is_drained(&self) -> bool {
        true
    }

    /// The deadline of a stream has come.
    fn due(&self, _worker: &Rc<Worker>, _id: u64) -> Due {
        Due::End(None)
    }

    /// The peer of a stream has everything that was queued for it, and the app wanted to know.
    fn drained(&self, _worker: &Rc<Worker>, _id: u64) {}

    /// The worker stops, so the stream with that number ends: when?
    fn stops(&self, _worker: &Rc<Worker>, _id: u64) -> Parting {
        Parting::Now(None)
    }
}

/// What the master does with the messages of its workers, in a configuration.
pub(crate) fn exchange_of(config: &Config) -> Box<dyn Exchange> {
    match config.program() {
        Program::Hub(hub) if matches!(hub.settings().store, StoreConfig::Memory) => {
            let settings = Arc::clone(hub.settings());
            Box::new(MemoryStore::new(settings, config.max_queue()))
        }
        // With a store in Redis the workers of a hub have no messages for each other.
        Program::Hub(_) | Program::Serve | Program::Broadcast { .. } => Box::new(PassOn),
    }
}

/// The app of a configuration.
pub(crate) fn of(config: &Config) -> Box<dyn App> {
    let headers = config.headers().to_vec();
    match config.program() {
        Program::Serve => Box::new(Status::new(headers)),
        Program::Broadcast { framing, deliver } => {
            Box::new(Broadcast::new(headers, *framing, *deliver))
        }
        Program::Hub(hub) => {
            let has_master = config.workers().is_some();
            let settings = Arc::clone(hub.settings());
            Box::new(Hub::new(settings, headers, has_master, config.max_queue()))
        }
    }
}
