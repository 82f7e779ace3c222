//! One end of a line between the master and a worker: frames over a socket pair, never
//! waiting, with a queue.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, Read as _};
use std::rc::Rc;
use std::time::Instant;

use super::frame::{Frames, Kind, header};
use crate::outbox::{Outbox, Part};
use php_event::stream::{Stream, stream_set_blocking};
use php_event::{Event, EventBase, Result};

/// From this many bytes on a queue is full: what would fill it is held back.
const FULL: usize = 4 << 20;

/// What one read takes.
const READ_BUFFER: usize = 64 << 10;

/// What a line tells its owner, when no borrow of it is held.
pub(super) enum Incoming {
    /// A frame came.
    Frame(Kind, Rc<[u8]>),
    /// All frames of one read have come.
    Pause,
    /// The queue has room again, or is empty.
    Room,
    /// The other end closed, or the line broke.
    Gone,
}

type Handler = dyn Fn(&Rc<Link>, Incoming);

/// One end of a line.
pub(super) struct Link {
    stream: Stream,
    base: EventBase,
    handler: Box<Handler>,
    read: OnceCell<Event>,
    write: RefCell<Option<Event>>, // while the queue has something
    queue: RefCell<Outbox>,
    frames: RefCell<Frames>,
    sent: Cell<u64>,
    unheard: Cell<bool>, // the other end takes nothing any more; what it sent is still read
    gone: Cell<bool>,
    asked: Cell<Option<Instant>>, // whether it is alive, and it has not answered since
}

impl Link {
    /// Reads frames of up to `longest` bytes as they come, and hands them to `handler`.
    pub(super) fn open(
        base: &EventBase,
        stream: Stream,
        longest: usize,
        handler: Box<Handler>,
    ) -> Result<Rc<Self>> {
        stream_set_blocking(&stream, false)?;
        let link = Rc::new(Self {
            stream: stream.clone(),
            base: base.clone(),
            handler,
            read: OnceCell::new(),
            write: RefCell::default(),
            queue: RefCell::default(),
            frames: RefCell::new(Frames::new(longest)),
            sent: Cell::new(0),
            unheard: Cell::new(false),
            gone: Cell::new(false),
            asked: Cell::new(None),
        });
        let weak = Rc::downgrade(&link);
        let read = Event::new(
            base,
            stream,
            Event::READ | Event::PERSIST,
            move |_stream, _what, _event| {
                if let Some(link) = weak.upgrade() {
                    link.readable();
                }
            },
        )?;
        read.add(None)?;
        link.read.get_or_init(|| read);
        Ok(link)
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    pub(super) fn queue(&self, kind: Kind, payload: Rc<[u8]>) {
        if self.unheard.get() {
            return;
        }
        let number = self.sent.replace(self.sent.get() + 1);
        let mut queue = self.queue.borrow_mut();
        queue.push(header(kind, number, payload.len()).into());
        queue.push(Part::from(payload));
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.borrow().len() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Asks the other end whether it is alive.
    pub(super) fn ask(self: &Rc<Self>) {
        self.await_sign();
        self.queue(Kind::Ping, Rc::default());
        self.flush();
    }

    /// Counts the time from now on, if it does not count yet, until the other end shows that it
    /// is alive.
    pub(super) fn await_sign(&self) {
        self.asked
            .set(self.asked.get().or_else(|| Some(Instant::now())));
    }

    /// Since when a question has had no answer, nor anything else been heard.
    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        self.asked.get()
    }

    /// The other end is alive, or could not have shown it.
    pub(super) fn note_sign(&self) {
        self.asked.set(None);
    }

    /// Whether what comes is read; what is not read holds the other end back in the end.
    pub(super) fn read_on(&self, on: bool) {
        let Some(read) = self.read.get() else { return };
        let done = match (on, read.is_pending()) {
            (true, false) if !self.gone.get() => read.add(None),
            (false, true) => read.del(),
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!("{error}");
        }
    }

    /// Whether what comes is read now.
    pub(super) fn reads(&self) -> bool {
        self.read.get().is_some_and(Event::is_pending)
    }

    /// Sends what is queued, as far as there is room.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.gone.get() || self.unheard.get() || self.write.borrow().is_some() {
            return;
        }
        if self.write_queue().is_some() && !self.is_empty() {
            self.wait_for_room();
        }
    }

    /// How much was written; `None` when the other end takes nothing any more.
    ///
    /// It has closed then, but what it sent before that is there to be read: the line goes
    /// when reading comes to its end.
    fn write_queue(self: &Rc<Self>) -> Option<usize> {
        let written = self.queue.borrow_mut().write_to(&self.stream);
        match written {
            Ok(written) => Some(written),
            Err(error) => {
                tracing::debug!("a line of the bus is not heard any more: {error}");
                self.unheard.set(true);
                drop((self.write.take(), self.queue.take()));
                None
            }
        }
    }

    fn wait_for_room(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let what = Event::WRITE | Event::PERSIST;
        let event = Event::new(
            &self.base,
            self.stream.clone(),
            what,
            move |_stream, _what, _event| {
                if let Some(link) = weak.upgrade() {
                    link.writable();
                }
            },
        );
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => *self.write.borrow_mut() = Some(event),
            Err(error) => self.give_up(&error.to_string()),
        }
    }

    fn writable(self: &Rc<Self>) {
        let was_full = self.is_full();
        if self.write_queue().is_some_and(|written| written > 0) && !self.reads() {
            self.note_sign(); // it is not heard, but it takes what it is sent
        }
        if self.is_empty() {
            drop(self.write.take());
        }
        if self.is_empty() || was_full && !self.is_full() {
            (self.handler)(self, Incoming::Room);
        }
    }

    /// Takes what one read returns. False when there was nothing.
    fn readable(self: &Rc<Self>) -> bool {
        let mut buffer = [0; READ_BUFFER];
        match (&self.stream).read(&mut buffer) {
            _ if self.gone.get() => false,
            Ok(0) => {
                self.give_up("the other end closed");
                false
            }
            Ok(n) => {
                self.note_sign();
                self.frames
                    .borrow_mut()
                    .extend(buffer.get(..n).unwrap_or_default());
                self.hand_over();
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.give_up(&error.to_string());
                false
            }
        }
    }

    fn hand_over(self: &Rc<Self>) {
        loop {
            let next = self.frames.borrow_mut().next();
            match next {
                Ok(Some((kind, payload))) => (self.handler)(self, Incoming::Frame(kind, payload)),
                Ok(None) => return (self.handler)(self, Incoming::Pause),
                Err(broken) => return self.give_up(&broken.to_string()),
            }
        }
    }

    /// Takes all that the other end sent before it ended.
    pub(super) fn drain(self: &Rc<Self>) {
        while self.readable() {}
    }

    fn give_up(self: &Rc<Self>, why: &str) {
        if !self.gone.replace(true) {
            tracing::debug!("a line of the bus ends: {why}");
            if let Some(read) = self.read.get() {
                read.free();
            }
            drop(self.write.take());
            (self.handler)(self, Incoming::Gone);
        }
    }
}
