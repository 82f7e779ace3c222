//! The master's end of all lines: what a worker publishes goes to the exchange.
//!
//! While the queue of one line is full, no line is read. That holds the senders back, and no
//! queue exceeds its limit by more than what was under way. A worker that is not read meanwhile
//! counts as alive as long as it reads its own queue.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::exchange::{Exchange, Lines};
use super::frame::Kind;
use super::link::{Incoming, Link};
use php_event::process::Pid;
use php_event::stream::Stream;
use php_event::{Event, EventBase, Result};

/// Heartbeats within the time that a worker has to answer one.
const HEARTBEATS: u32 = 4;

/// What a worker tells the master, by a frame or by its silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkerMessage {
    /// It accepts connections.
    Ready,
    /// It asks to be replaced.
    Retire,
    /// It has not answered for the whole timeout.
    Hung,
}

/// The lines to all workers.
pub(crate) struct Relay {
    base: EventBase,
    timeout: Duration,
    longest: usize,
    links: RefCell<BTreeMap<Pid, Rc<Link>>>,
    heartbeat: OnceCell<Event>,
    last_beat: Cell<Instant>,
    paused: Cell<bool>, // no line is read: a queue is full
    relayed: Cell<u64>,
    exchange: Box<dyn Exchange>,
    notify: Box<dyn Fn(Pid, WorkerMessage)>,
}

impl Relay {
    /// A relay without lines. `exchange` gets the messages of workers, and `notify` what they
    /// tell the master itself.
    pub(crate) fn new(
        base: &EventBase,
        timeout: Duration,
        longest: usize,
        exchange: Box<dyn Exchange>,
        notify: impl Fn(Pid, WorkerMessage) + 'static,
    ) -> Result<Rc<Self>> {
        let relay = Rc::new(Self {
            base: base.clone(),
            timeout,
            longest,
            links: RefCell::default(),
            heartbeat: OnceCell::new(),
            last_beat: Cell::new(Instant::now()),
            paused: Cell::new(false),
            relayed: Cell::new(0),
            exchange,
            notify: Box::new(notify),
        });
        let weak: Weak<Self> = Rc::downgrade(&relay);
        let interval = relay.interval();
        let heartbeat = Event::timer(base, move |event| {
            if let Some(relay) = weak.upgrade() {
                relay.beat();
            }
            if let Err(error) = event.add(Some(interval)) {
                tracing::error!("{error}");
            }
        })?;
        heartbeat.add(Some(interval))?;
        relay.heartbeat.get_or_init(|| heartbeat);
        Ok(relay)
    }

    fn interval(&self) -> Duration {
        self.timeout / HEARTBEATS
    }

    /// Connects a worker over its line.
    pub(crate) fn connect(self: &Rc<Self>, pid: Pid, line: Stream) -> Result<()> {
        let weak = Rc::downgrade(self);
        let handler = Box::new(move |_link: &Rc<Link>, incoming| {
            if let Some(relay) = weak.upgrade() {
                relay.incoming(pid, incoming);
            }
        });
        let link = Link::open(&self.base, line, self.longest, handler)?;
        link.set_reading(!self.paused.get());
        self.links.borrow_mut().insert(pid, link);
        Ok(())
    }

    /// Takes what an ended worker sent last, and forgets it.
    pub(crate) fn disconnect(self: &Rc<Self>, pid: Pid) {
        let link = self.links.borrow().get(&pid).cloned();
        if let Some(link) = link {
            link.drain();
            self.links.borrow_mut().remove(&pid);
            self.exchange.left(pid, &Lines(&self.links.borrow()));
            self.flush();
            self.update_reading();
        }
    }

    /// Tells a worker that another has its slot. False when it has no line.
    pub(crate) fn replace(&self, pid: Pid) -> bool {
        let link = self.links.borrow().get(&pid).cloned();
        let Some(link) = link.filter(|link| link.is_open()) else {
            return false;
        };
        link.queue(Kind::Replaced, None);
        link.flush();
        true
    }

    /// How many messages workers have published.
    pub(crate) fn relayed(&self) -> u64 {
        self.relayed.get()
    }

    fn incoming(self: &Rc<Self>, pid: Pid, incoming: Incoming) {
        match incoming {
            Incoming::Frame(Kind::Message, payload) => self.relay(pid, payload),
            Incoming::Frame(Kind::Ready, _) => (self.notify)(pid, WorkerMessage::Ready),
            Incoming::Frame(Kind::Retire, _) => (self.notify)(pid, WorkerMessage::Retire),
            Incoming::Frame(Kind::Ping | Kind::Pong | Kind::Replaced, _) => {}
            Incoming::ReadDone | Incoming::Room => {
                self.flush();
                self.update_reading();
            }
            Incoming::Closed => self.update_reading(), // the master reaps the worker by SIGCHLD
        }
    }

    fn relay(&self, from: Pid, payload: Vec<u8>) {
        self.relayed.set(self.relayed.get() + 1);
        let links = self.links.borrow();
        self.exchange.received(from, payload, &Lines(&links));
    }

    fn links(&self) -> Vec<(Pid, Rc<Link>)> {
        self.links
            .borrow()
            .iter()
            .map(|(pid, link)| (*pid, Rc::clone(link)))
            .collect()
    }

    fn flush(&self) {
        for (_, link) in self.links() {
            link.flush();
        }
    }

    /// Reads the lines unless a queue is full.
    fn update_reading(&self) {
        let links = self.links();
        let full = links.iter().any(|(_, link)| link.is_full());
        if self.paused.replace(full) != full {
            for (_, link) in &links {
                link.note_sign(); // it was not read, or will not be: silence means nothing
                link.set_reading(!full);
            }
        }
    }

    fn beat(&self) {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.last_beat.replace(now));
        let overslept = since > 2 * self.interval(); // this process or the machine was stopped
        for (pid, link) in self.links() {
            link.set_reading(!self.paused.get()); // the system may have refused it before
            // A worker whose line has broken ends by itself, or hangs: it is not heard of again.
            let cannot_show = !link.is_closed() && !link.is_reading() && link.is_empty();
            if overslept || cannot_show {
                link.note_sign();
            }
            let silent = link
                .silent_since()
                .map(|since| now.saturating_duration_since(since));
            if silent.is_some_and(|silent| silent >= self.timeout) {
                (self.notify)(pid, WorkerMessage::Hung);
            } else if link.is_reading() || link.is_empty() {
                link.ping();
            } else {
                link.await_sign(); // it is not read, but reading its queue shows that it lives
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use php_event::stream::{fwrite, stream_socket_pair};

    use super::*;
    use crate::bus::PassOn;

    #[test]
    fn a_worker_that_does_not_end_when_its_line_breaks_hangs() {
        let base = EventBase::new().unwrap();
        let told = Rc::new(RefCell::new(Vec::new()));
        let (tell, leave) = (Rc::clone(&told), base.clone());
        let notify = move |pid, message| {
            tell.borrow_mut().push((pid, message));
            leave.stop().unwrap();
        };
        let timeout = Duration::from_millis(100);
        let relay = Relay::new(&base, timeout, 64, Box::new(PassOn), notify).unwrap();
        let (ours, theirs) = stream_socket_pair().unwrap();
        relay.connect(7, ours).unwrap();
        fwrite(&theirs, [0xff; 17]).unwrap(); // no header
        base.exit(Some(Duration::from_secs(20))).unwrap();
        base.dispatch().unwrap();
        assert_eq!(*told.borrow(), [(7, WorkerMessage::Hung)]);
    }
}
