//! One end of a line between the master and a worker: frames over a socket pair, with a queue.
//! Nothing here blocks.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, Read as _};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use super::frame::{Frames, Kind, header};
use crate::buffer::Buffer;
use crate::outbox::Outbox;
use php_event::stream::{Stream, stream_set_blocking, stream_socket_shutdown};
use php_event::{Event, EventBase, Result};

/// A queue with this many bytes is full, and its senders are held back.
const FULL: usize = 4 << 20;

/// The most bytes that one read takes.
const READ_BUFFER: usize = 64 << 10;

/// What a line reports to its owner. No borrow of the line is held meanwhile.
pub(super) enum Incoming {
    /// A frame arrived.
    Frame(Kind, Vec<u8>),
    /// All frames of one read were reported.
    ReadDone,
    /// The queue has room again, or is empty.
    Room,
    /// The other end closed, or the line broke.
    Closed,
}

type Handler = dyn Fn(&Rc<Link>, Incoming);

/// What still passes over a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Both directions.
    Open,
    /// Nothing more can be written; what the other end sent before is still read.
    ReadOnly,
    /// Nothing.
    Closed,
}

/// One end of a line.
pub(super) struct Link {
    stream: Stream,
    base: EventBase,
    handler: Box<Handler>,
    read: OnceCell<Event>,
    write: RefCell<Option<Event>>, // while the queue waits for the socket
    queue: RefCell<Outbox>,
    frames: RefCell<Frames>,
    sent: Cell<u64>,
    state: Cell<State>,
    silent_since: Cell<Option<Instant>>, // while a sign of life is awaited
}

impl Link {
    /// Reads frames of up to `longest` bytes, and passes them to `handler`.
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
            state: Cell::new(State::Open),
            silent_since: Cell::new(None),
        });
        let weak = Rc::downgrade(&link);
        let read = Event::new(
            base,
            stream,
            Event::READ | Event::PERSIST,
            move |_stream, _what, _event| {
                if let Some(link) = weak.upgrade() {
                    link.read();
                }
            },
        )?;
        read.add(None)?;
        link.read.get_or_init(|| read);
        Ok(link)
    }

    /// Queues a frame; [`flush`](Self::flush) sends it.
    pub(super) fn queue(&self, kind: Kind, payload: Option<Rc<Buffer>>) {
        if self.state.get() != State::Open {
            return;
        }
        let number = self.sent.replace(self.sent.get() + 1);
        let length = payload.as_ref().map_or(0, |payload| payload.len());
        let mut queue = self.queue.borrow_mut();
        queue.push(Buffer::uncounted(header(kind, number, length)).into());
        if let Some(payload) = payload {
            queue.push(payload.into());
        }
    }

    /// Whether the other end still reads.
    pub(super) fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Whether nothing passes any more, in either direction.
    pub(super) fn is_closed(&self) -> bool {
        self.state.get() == State::Closed
    }

    pub(super) fn is_full(&self) -> bool {
        self.queue.borrow().len() >= FULL
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Asks the other end for a sign of life.
    pub(super) fn ping(self: &Rc<Self>) {
        self.await_sign();
        self.queue(Kind::Ping, None);
        self.flush();
    }

    /// Starts to measure how long the other end is silent, unless that has begun.
    pub(super) fn await_sign(&self) {
        self.silent_since
            .set(self.silent_since.get().or_else(|| Some(Instant::now())));
    }

    /// When the other end was first asked for a sign of life that has not come yet.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.silent_since.get()
    }

    /// Ends the measurement: the other end is alive, or could not give a sign.
    pub(super) fn note_sign(&self) {
        self.silent_since.set(None);
    }

    /// Starts or stops reading. An end that is not read is held back once the socket is full.
    pub(super) fn set_reading(&self, on: bool) {
        let Some(read) = self.read.get() else { return };
        let done = match (on, read.is_pending()) {
            (true, false) if self.state.get() != State::Closed => read.add(None),
            (false, true) => read.del(),
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!("{error}");
        }
    }

    pub(super) fn is_reading(&self) -> bool {
        self.read.get().is_some_and(Event::is_pending)
    }

    /// Sends what is queued, as far as there is room.
    pub(super) fn flush(self: &Rc<Self>) {
        if self.state.get() != State::Open || self.write.borrow().is_some() {
            return;
        }
        if self.write_queue().is_some() && !self.is_empty() {
            self.wait_for_room();
        }
    }

    /// How many bytes were written; `None` when nothing more can be.
    ///
    /// The other end has closed then, or learns from this that the line is broken and closes. What
    /// it sent before is still there: the line closes when all of that is read.
    fn write_queue(self: &Rc<Self>) -> Option<usize> {
        let written = self.queue.borrow_mut().write_to(&self.stream);
        match written {
            Ok(written) => Some(written),
            Err(error) => {
                tracing::debug!("nothing more can be written to a bus line: {error}");
                self.state.set(State::ReadOnly);
                stream_socket_shutdown(&self.stream, Shutdown::Write).ok(); // it may be open
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
                    link.write();
                }
            },
        );
        match event.and_then(|event| event.add(None).map(|()| event)) {
            Ok(event) => *self.write.borrow_mut() = Some(event),
            Err(error) => self.close(&error.to_string()),
        }
    }

    fn write(self: &Rc<Self>) {
        let was_full = self.is_full();
        if self.write_queue().is_some_and(|written| written > 0) && !self.is_reading() {
            self.note_sign(); // reading its queue is the only sign that it can give
        }
        if self.is_empty() {
            drop(self.write.take());
        }
        if self.is_empty() || was_full && !self.is_full() {
            (self.handler)(self, Incoming::Room);
        }
    }

    /// Reads once. False when there was nothing.
    fn read(self: &Rc<Self>) -> bool {
        let mut buffer = [0; READ_BUFFER];
        match (&self.stream).read(&mut buffer) {
            _ if self.state.get() == State::Closed => false,
            Ok(0) => {
                self.close("the other end closed");
                false
            }
            Ok(n) => {
                self.note_sign();
                self.frames
                    .borrow_mut()
                    .extend(buffer.get(..n).unwrap_or_default());
                self.report_frames();
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => false,
            Err(error) => {
                self.close(&error.to_string());
                false
            }
        }
    }

    fn report_frames(self: &Rc<Self>) {
        loop {
            let next = self.frames.borrow_mut().next();
            match next {
                Ok(Some((kind, payload))) => (self.handler)(self, Incoming::Frame(kind, payload)),
                Ok(None) => return (self.handler)(self, Incoming::ReadDone),
                Err(broken) => return self.close(&broken.to_string()),
            }
        }
    }

    /// Reads everything that the other end sent before it ended.
    pub(super) fn drain(self: &Rc<Self>) {
        while self.read() {}
    }

    fn close(self: &Rc<Self>, why: &str) {
        if self.state.replace(State::Closed) != State::Closed {
            tracing::debug!("a bus line closes: {why}");
            if let Some(read) = self.read.get() {
                read.free();
            }
            drop((self.write.take(), self.queue.take())); // a full queue would hold the senders back
            // The other end learns of it, where it has not ended. A worker ends and is replaced.
            stream_socket_shutdown(&self.stream, Shutdown::Both).ok();
            (self.handler)(self, Incoming::Closed);
        }
    }
}

#[cfg(test)]
mod tests {
    use php_event::LoopFlags;
    use php_event::stream::{fwrite, stream_socket_pair};

    use super::*;

    #[test]
    fn a_line_that_breaks_ends_at_its_other_end_too() {
        let base = EventBase::new().unwrap();
        let (one, other) = stream_socket_pair().unwrap();
        let closed = Rc::new(Cell::new(false));
        let seen = Rc::clone(&closed);
        let handler = move |_link: &Rc<Link>, incoming: Incoming| {
            seen.set(matches!(incoming, Incoming::Closed));
        };
        let link = Link::open(&base, one, 64, Box::new(handler)).unwrap();
        fwrite(&other, [0xff; 17]).unwrap(); // no header
        base.r#loop(LoopFlags::ONCE).unwrap();
        assert!(closed.get());
        stream_set_blocking(&other, false).unwrap();
        assert_eq!((&other).read(&mut [0]).unwrap(), 0, "the end");
        drop(link);
    }
}
