//! The callbacks of `EventBufferEvent`, as classes for the cases. What only buffer events have,
//! such as halves, filters and lent buffers, is in `tests/event_buffer_event`.
//!
//! Deferred, a callback that is due waits in a queue that `disable` does not empty: the cases
//! in which a disarmed sibling must not run do not apply.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};

use crate::Class;
use test_support::pair;

thread_local! {
    /// The other end of each object's socket, by its number.
    static PEERS: RefCell<HashMap<RawFd, Rc<UnixStream>>> = RefCell::default();
}

fn make(base: &EventBase, callbacks: Callbacks, queued: bool) -> EventBufferEvent {
    let (ours, theirs) = pair();
    let options = if queued {
        EventBufferEvent::OPT_DEFER_CALLBACKS
    } else {
        BufferEventOptions::empty()
    };
    let bev = EventBufferEvent::new(base, ours, options).unwrap();
    bev.set_callbacks(callbacks).unwrap();
    let peer = Rc::new(theirs);
    PEERS.with_borrow_mut(|peers| peers.insert(bev.fd().unwrap(), peer));
    bev
}

fn peer_of(bev: &EventBufferEvent) -> Rc<UnixStream> {
    PEERS.with_borrow(|peers| Rc::clone(&peers[&bev.fd().unwrap()]))
}

/// What tells one of the three callbacks from another.
pub(crate) trait Part {
    fn callbacks(callback: impl FnMut(&EventBufferEvent) + 'static) -> Callbacks;

    fn fire(bev: &EventBufferEvent);
}

/// Data came in.
pub(crate) struct ReadPart;

impl Part for ReadPart {
    fn callbacks(mut callback: impl FnMut(&EventBufferEvent) + 'static) -> Callbacks {
        Callbacks::new().on_read(move |bev| {
            assert!(bev.read(64).unwrap().is_some());
            callback(bev);
        })
    }

    fn fire(bev: &EventBufferEvent) {
        peer_of(bev).as_ref().write_all(b"!").unwrap();
        bev.enable(Event::READ).unwrap();
    }
}

/// The output is empty.
pub(crate) struct WritePart;

impl Part for WritePart {
    fn callbacks(callback: impl FnMut(&EventBufferEvent) + 'static) -> Callbacks {
        Callbacks::new().on_write(callback)
    }

    fn fire(bev: &EventBufferEvent) {
        bev.enable(Event::WRITE).unwrap();
    }
}

/// The input is at its end.
pub(crate) struct EndPart;

impl Part for EndPart {
    fn callbacks(mut callback: impl FnMut(&EventBufferEvent) + 'static) -> Callbacks {
        Callbacks::new().on_event(move |bev, what| {
            assert_eq!(what, EventBufferEvent::READING | EventBufferEvent::EOF);
            callback(bev);
        })
    }

    fn fire(bev: &EventBufferEvent) {
        peer_of(bev).shutdown(std::net::Shutdown::Both).unwrap();
        bev.enable(Event::READ).unwrap();
    }
}

/// A buffer event of which one callback is looked at, deferred or not.
pub(crate) struct Buffered<P, const QUEUED: bool>(P);

pub(crate) type BufferRead = Buffered<ReadPart, false>;
pub(crate) type BufferWrite = Buffered<WritePart, false>;
pub(crate) type BufferEnd = Buffered<EndPart, false>;
pub(crate) type QueuedRead = Buffered<ReadPart, true>;
pub(crate) type QueuedWrite = Buffered<WritePart, true>;
pub(crate) type QueuedEnd = Buffered<EndPart, true>;

impl<P: Part, const QUEUED: bool> Class for Buffered<P, QUEUED> {
    type Handle = EventBufferEvent;

    fn make(
        base: &EventBase,
        callback: impl FnMut(&EventBufferEvent) + 'static,
    ) -> EventBufferEvent {
        make(base, P::callbacks(callback), QUEUED)
    }

    fn fire(bev: &EventBufferEvent) {
        P::fire(bev);
    }

    fn disarm(bev: &EventBufferEvent) {
        bev.disable(Event::READ | Event::WRITE).unwrap();
    }

    fn free(bev: &EventBufferEvent) {
        bev.free();
    }

    fn replace(
        bev: &EventBufferEvent,
        _base: &EventBase,
        callback: impl FnMut(&EventBufferEvent) + 'static,
    ) -> bool {
        bev.set_callbacks(P::callbacks(callback)).unwrap();
        true
    }
}
