//! A `close_notify` that finds no room in the socket when its connection ends.
//!
//! Owns: nothing; the event that waits for room, which the base keeps, owns the record and the
//! socket. Lends C nothing of its own.
//! Runs user code: the destructor of the socket, when the event ends.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::super::source::Source;
use crate::buffer::send;
use crate::flags::EventFlags;
use crate::runtime::generation;
use crate::{Event, base};

/// How many sockets wait for room at a time in a thread. Peers that do not read could hold any
/// number of descriptors otherwise; beyond it they get no `close_notify`.
const WAITING_MAX: usize = 256;

thread_local! {
    static WAITING: Cell<usize> = const { Cell::new(0) };
}

/// Sends a record as far as it goes at once. Returns what is left, if the socket has no room
/// for it now.
pub(crate) fn send_now(socket: BorrowedFd<'_>, mut record: Vec<u8>) -> Option<Vec<u8>> {
    while !record.is_empty() {
        match send(socket, &[IoSlice::new(&record)]) {
            Ok(sent) => drop(record.drain(..sent)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Some(record),
            Err(_) => return None, // the peer has closed
        }
    }
    None
}

/// Has the base send the rest of a record when the socket has room for it, within `limit`.
pub(crate) fn send_later(
    base: &Rc<base::Inner>,
    socket: Rc<Source>,
    rest: Vec<u8>,
    limit: Duration,
) {
    if let (Some(place), Some(due)) = (Place::take(), Instant::now().checked_add(limit)) {
        Waiting {
            rest,
            due,
            generation: generation(),
            _place: place,
        }
        .wait(base, socket);
    }
}

/// What waits for room.
struct Waiting {
    rest: Vec<u8>,
    due: Instant,
    /// The process that the record belongs to: a forked child has a copy of it.
    generation: u32,
    _place: Place,
}

impl Waiting {
    /// Waits in an event. If there is none to be had, the peer gets no `close_notify`.
    fn wait(self, base: &Rc<base::Inner>, socket: Rc<Source>) {
        let left = self.due.saturating_duration_since(Instant::now());
        let (mut this, weak) = (Some(self), Rc::downgrade(base));
        let on_room = move |socket: &Rc<Source>, what: EventFlags| {
            let Some(this) = this.take().filter(|this| this.generation == generation()) else {
                return;
            };
            if what.contains(EventFlags::WRITE)
                && let Some(rest) = send_now(socket.as_fd(), this.rest)
                && let Some(base) = weak.upgrade()
            {
                Self { rest, ..this }.wait(&base, Rc::clone(socket));
            }
        };
        let event = Event::source_on("SSL_shutdown", base, socket, EventFlags::WRITE, on_room);
        if let Ok(event) = event
            && event.add(Some(left)).is_ok()
        {
            event.detach();
        }
    }
}

/// Counts one that waits.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let count = WAITING.try_with(|waiting| waiting.replace(waiting.get() + 1));
        let place = Self; // counted, unless the thread ends
        count
            .is_ok_and(|count| count < WAITING_MAX)
            .then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING
            .try_with(|waiting| waiting.set(waiting.get().saturating_sub(1)))
            .ok();
    }
}
