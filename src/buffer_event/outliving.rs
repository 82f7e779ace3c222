//! Sockets that outlive their connection for a while, so that it ends well: one has a record left
//! to send, another one reads on, see [`LastWork`].
//!
//! Owns: nothing; the event that waits for the socket, which the base keeps, owns the socket and
//! what is left to do. Lends C nothing of its own.
//! Runs user code: the destructor of the socket, when the event ends, in the loop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::{Rc, Weak};
use std::time::Instant;

use super::source::Source;
use crate::flags::EventFlags;
use crate::runtime::generation;
use crate::{Event, base, event};

/// How many sockets outlive their connection at a time in a thread. Peers that do nothing could
/// hold any number of descriptors otherwise. Beyond it the socket that has waited longest is
/// closed in the next turn of its loop.
const WAITING_MAX: usize = 256;

thread_local! {
    /// The events that wait, by the number of their [`Place`], oldest first.
    static WAITING: RefCell<BTreeMap<u64, Weak<event::Inner>>> = const { RefCell::new(BTreeMap::new()) };
    static PLACES: Cell<u64> = const { Cell::new(0) };
}

/// What a socket still does after its connection has ended.
pub(crate) trait LastWork: Sized + 'static {
    /// What the socket has to be ready for.
    fn waits_for(&self) -> EventFlags;

    /// When the socket is closed, whatever is left.
    fn due(&self) -> Instant;

    /// Does what can be done without waiting. Returns what is left, if anything is.
    fn proceed(self, socket: BorrowedFd<'_>) -> Option<Self>;
}

/// Has the base do the rest of the work when the socket is ready for it. The socket is closed when
/// that is done, or when it is due.
pub(crate) fn keep_open(base: &Rc<base::Inner>, socket: Rc<Source>, work: impl LastWork) {
    close_oldest();
    let waiting = Waiting {
        work,
        generation: generation(),
        place: Place::take(),
    };
    waiting.wait(base, socket);
}

/// Makes room for one more socket that waits. The oldest ends in its loop, as when it is due: this
/// may run in the middle of a call that frees something, where no destructor of the user's may.
fn close_oldest() {
    let oldest = WAITING.try_with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        let is_full = waiting.len() >= WAITING_MAX;
        is_full.then(|| waiting.pop_first()).flatten()
    });
    if let Ok(Some((_, event))) = oldest
        && let Some(event) = event.upgrade().map(Event)
    {
        event.active(EventFlags::TIMEOUT).ok(); // after a fork it is the parent's
    }
}

/// Work that waits for its socket.
struct Waiting<W> {
    work: W,
    /// The process that the socket belongs to: a forked child has a copy of it.
    generation: u32,
    place: Place,
}

impl<W: LastWork> Waiting<W> {
    /// Waits in an event. If none can be had, the socket is closed.
    fn wait(self, base: &Rc<base::Inner>, socket: Rc<Source>) {
        let left = self.work.due().saturating_duration_since(Instant::now());
        let (waits_for, place) = (self.work.waits_for(), self.place.0);
        let (mut this, weak) = (Some(self), Rc::downgrade(base));
        let on_ready = move |socket: &Rc<Source>, what: EventFlags| {
            let Some(this) = this.take().filter(|this| this.generation == generation()) else {
                return;
            };
            if what.contains(waits_for)
                && let Some(work) = this.work.proceed(socket.as_fd())
                && let Some(base) = weak.upgrade()
            {
                Self { work, ..this }.wait(&base, Rc::clone(socket));
            }
        };
        let event = Event::source_on("a closed connection", base, socket, waits_for, on_ready);
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
