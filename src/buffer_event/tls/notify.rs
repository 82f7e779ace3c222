//! A `close_notify` that finds no room in the socket when its connection ends.
//!
//! Owns: nothing; the event that waits for room, which the base keeps, owns the record and the
//! socket. Lends C nothing of its own.
//! Runs user code: the destructor of the socket, when the event ends, under [`guard()`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::super::source::Source;
use crate::buffer::send;
use crate::flags::EventFlags;
use crate::runtime::{generation, guard};
use crate::{Event, base, event};

/// How many sockets wait for room at a time in a thread. Peers that do not read could hold any
/// number of descriptors otherwise. Beyond it the socket that has waited longest is closed, and
/// its peer gets no `close_notify`.
const WAITING_MAX: usize = 256;

thread_local! {
    /// The events that wait, by the number of their [`Place`], oldest first.
    static WAITING: RefCell<BTreeMap<u64, Weak<event::Inner>>> = const { RefCell::new(BTreeMap::new()) };
    static PLACES: Cell<u64> = const { Cell::new(0) };
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
    let Some(due) = Instant::now().checked_add(limit) else {
        return;
    };
    close_oldest();
    let waiting = Waiting {
        rest,
        due,
        generation: generation(),
        place: Place::take(),
    };
    waiting.wait(base, socket);
}

/// Makes room for one more socket that waits.
fn close_oldest() {
    let oldest = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        let is_full = waiting.len() >= WAITING_MAX;
        is_full.then(|| waiting.pop_first()).flatten()
    });
    if let Ok(Some((_, event))) = oldest
        && let Some(event) = event.upgrade().map(Event)
    {
        let base = event.0.base();
        guard(&base, || event.free());
    }
}

/// What waits for room.
struct Waiting {
    rest: Vec<u8>,
    due: Instant,
    /// The process that the record belongs to: a forked child has a copy of it.
    generation: u32,
    place: Place,
}

impl Waiting {
    /// Waits in an event. If there is none to be had, the peer gets no `close_notify`.
    fn wait(self, base: &Rc<base::Inner>, socket: Rc<Source>) {
        let left = self.due.saturating_duration_since(Instant::now());
        let place = self.place.0;
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
            WAITING
                .try_with(|waiting| waiting.borrow_mut().insert(place, Rc::downgrade(&event.0)))
                .ok();
            event.detach();
        }
    }
}

/// The number of one that waits: the higher, the later it began.
struct Place(u64);

impl Place {
    fn take() -> Self {
        let number = PLACES.get();
        PLACES.set(number + 1);
        Self(number)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        WAITING
            .try_with(|waiting| waiting.borrow_mut().remove(&self.0))
            .ok();
    }
}
