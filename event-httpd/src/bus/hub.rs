//! The master's end of all lines: what one worker sends goes to all the others.
//!
//! While one line's queue is full no line is read, so that its senders are held back and no
//! queue grows past its limit by more than what was on its way. A worker that is not heard
//! meanwhile counts as alive while it takes what it is sent.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::frame::Kind;
use super::link::{Incoming, Link};
use php_event::process::Pid;
use php_event::stream::Stream;
use php_event::{Event, EventBase, Result};

/// How many heartbeats go out in the time that a worker has to answer one.
const HEARTBEATS: u32 = 4;

/// What a line brings that is for the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The worker accepts.
    Ready,
    /// The worker asks to be replaced.
    Retire,
    /// The worker has not answered for so long that it is taken for hung.
    Hung,
}

/// The lines to all workers.
pub(crate) struct Hub {
    base: EventBase,
    timeout: Duration,
    longest: usize,
    links: RefCell<BTreeMap<Pid, Rc<Link>>>,
    heartbeat: OnceCell<Event>,
    last_beat: Cell<Instant>,
    held: Cell<bool>,
    passed_on: Cell<u64>,
    heard: Box<dyn Fn(Pid, Word)>,
}

impl Hub {
    /// A star without lines. `heard` gets what workers say to the master.
    pub(crate) fn new(
        base: &EventBase,
        timeout: Duration,
        longest: usize,
        heard: impl Fn(Pid, Word) + 'static,
    ) -> Result<Rc<Self>> {
        let hub = Rc::new(Self {
            base: base.clone(),
            timeout,
            longest,
            links: RefCell::default(),
            heartbeat: OnceCell::new(),
            last_beat: Cell::new(Instant::now()),
            held: Cell::new(false),
            passed_on: Cell::new(0),
            heard: Box::new(heard),
        });
        let weak: Weak<Self> = Rc::downgrade(&hub);
        let interval = hub.interval();
        let heartbeat = Event::timer(base, move |event| {
            if let Some(hub) = weak.upgrade() {
                hub.beat();
            }
            if let Err(error) = event.add(Some(interval)) {
                tracing::error!("{error}");
            }
        })?;
        heartbeat.add(Some(interval))?;
        hub.heartbeat.get_or_init(|| heartbeat);
        Ok(hub)
    }

    fn interval(&self) -> Duration {
        self.timeout / HEARTBEATS
    }

    /// Connects the worker with that number, over its line.
    pub(crate) fn connect(self: &Rc<Self>, pid: Pid, line: Stream) -> Result<()> {
        let weak = Rc::downgrade(self);
        let handler = Box::new(move |_link: &Rc<Link>, incoming| {
            if let Some(hub) = weak.upgrade() {
                hub.incoming(pid, incoming);
            }
        });
        let link = Link::open(&self.base, line, self.longest, handler)?;
        link.read_on(!self.held.get());
        self.links.borrow_mut().insert(pid, link);
        Ok(())
    }

    /// Takes what an ended worker still sent, and forgets it.
    pub(crate) fn disconnect(self: &Rc<Self>, pid: Pid) {
        let link = self.links.borrow().get(&pid).cloned();
        if let Some(link) = link {
            link.drain();
            self.links.borrow_mut().remove(&pid);
            self.flush();
            self.balance();
        }
    }

    /// Messages that went through.
    pub(crate) fn passed_on(&self) -> u64 {
        self.passed_on.get()
    }

    fn incoming(self: &Rc<Self>, pid: Pid, incoming: Incoming) {
        match incoming {
            Incoming::Frame(Kind::Message, payload) => self.pass_on(pid, &payload),
            Incoming::Frame(Kind::Ready, _) => (self.heard)(pid, Word::Ready),
            Incoming::Frame(Kind::Retire, _) => (self.heard)(pid, Word::Retire),
            Incoming::Frame(Kind::Ping | Kind::Pong, _) => {}
            Incoming::Pause | Incoming::Room => {
                self.flush();
                self.balance();
            }
            Incoming::Gone => self.balance(), // its end is the master's to see
        }
    }

    fn pass_on(&self, from: Pid, payload: &Rc<[u8]>) {
        self.passed_on.set(self.passed_on.get() + 1);
        for (pid, link) in self.links.borrow().iter() {
            if *pid != from {
                link.queue(Kind::Message, Rc::clone(payload));
            }
        }
    }

    fn all(&self) -> Vec<(Pid, Rc<Link>)> {
        self.links
            .borrow()
            .iter()
            .map(|(pid, link)| (*pid, Rc::clone(link)))
            .collect()
    }

    fn flush(&self) {
        for (_, link) in self.all() {
            link.flush();
        }
    }

    /// Reads the lines unless a queue is full.
    fn balance(&self) {
        let links = self.all();
        let full = links.iter().any(|(_, link)| link.is_full());
        if self.held.replace(full) != full {
            for (_, link) in &links {
                link.note_sign(); // nobody could be heard, or nobody will be for now
                link.read_on(!full);
            }
        }
    }

    fn beat(&self) {
        let now = Instant::now();
        let since = now.saturating_duration_since(self.last_beat.replace(now));
        let overslept = since > 2 * self.interval(); // stopped, or the whole machine was
        for (pid, link) in self.all() {
            let unheard = !link.reads() && link.is_empty(); // it had nothing to take
            if overslept || unheard {
                link.note_sign();
            }
            let silent = link
                .unanswered_since()
                .map(|since| now.saturating_duration_since(since));
            if silent.is_some_and(|silent| silent >= self.timeout) {
                (self.heard)(pid, Word::Hung);
            } else if link.reads() || link.is_empty() {
                link.ask();
            } else {
                link.await_sign(); // its queue is long enough: what it takes of that is the sign
            }
        }
    }
}
