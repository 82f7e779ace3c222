//! Buffer events across `fork`.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{
    BufferEventOptions, Callbacks, Error, Event, EventBase, EventBufferEvent, Filters, FlushMode,
    LoopEnd, RateLimit,
};

use crate::child::{How, bases, descriptors, poll, run_once, succeeds};
use test_support::{Drops, pair};

/// One of each kind on one base: on a socket, a pair, and a filter on one of its halves.
struct Set {
    base: EventBase,
    socket: EventBufferEvent,
    filter: EventBufferEvent,
    other: EventBufferEvent,
    peer: UnixStream,
    heard: Rc<RefCell<Vec<String>>>,
    drops: Drops,
}

impl Set {
    fn new(base: EventBase) -> Self {
        let ((ours, peer), plain) = (pair(), BufferEventOptions::empty());
        peer.set_nonblocking(false).unwrap();
        let socket = EventBufferEvent::new(&base, ours, plain).unwrap();
        let (half, other) = EventBufferEvent::create_pair(&base, plain).unwrap();
        let filter = EventBufferEvent::create_filter(&half, Filters::new(), plain).unwrap();
        let set = Self {
            base,
            socket,
            filter,
            other,
            peer,
            heard: Rc::default(),
            drops: Drops::default(),
        };
        for bev in set.all() {
            let (heard, token) = (set.heard.clone(), set.drops.token());
            bev.set_callbacks(Callbacks::new().on_read(move |bev| {
                token.hold();
                let bytes = bev.read(99).unwrap().unwrap();
                heard.borrow_mut().push(String::from_utf8(bytes).unwrap());
            }))
            .unwrap();
            bev.enable(Event::READ).unwrap();
        }
        set
    }

    fn all(&self) -> [&EventBufferEvent; 3] {
        [&self.socket, &self.filter, &self.other]
    }

    #[track_caller]
    fn works(&mut self) {
        self.peer.write_all(b"from the peer").unwrap();
        run_once(&self.base);
        self.socket.write("to the peer").unwrap();
        self.filter.write("down").unwrap();
        self.other.write("up").unwrap();
        while self.socket.output().length() > 0 {
            run_once(&self.base);
        }
        poll(&self.base);
        let mut heard = self.heard.take();
        heard.sort();
        assert_eq!(heard, ["down", "from the peer", "up"]);
        let mut bytes = [0; 11];
        self.peer.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"to the peer");
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
pub(crate) fn foreign_buffer_events_dropped_in_a_child_leave_the_parents_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut set = Some(Set::new(base));
            set.as_mut().unwrap().works();
            for base_first in [false, true] {
                let child = how.child(|| {
                    let Set {
                        base,
                        socket,
                        filter,
                        other,
                        drops,
                        ..
                    } = set.take().unwrap();
                    let base = if base_first { None } else { Some(base) };
                    socket.free();
                    drop((filter, other, socket));
                    assert_eq!(drops.count(), 0);
                    drop(base);
                });
                set.as_mut().unwrap().works();
                succeeds(child);
                set.as_mut().unwrap().works();
            }
        }
    }
}

pub(crate) fn buffer_events_are_refused_in_a_child_until_re_init() {
    for how in How::BOTH {
        let mut set = Some(Set::new(EventBase::new().unwrap()));
        let child = how.child(|| {
            let mut set = set.take().unwrap();
            let plain = BufferEventOptions::empty();
            for bev in set.all() {
                let calls = [
                    bev.write("x"),
                    bev.read(1).map(drop),
                    bev.enable(Event::READ),
                    bev.disable(Event::READ),
                    bev.get_enabled().map(drop),
                    bev.close(),
                    bev.connect("127.0.0.1:9"),
                    bev.set_callbacks(Callbacks::new()),
                    bev.set_timeouts(None, None),
                    bev.set_priority(0),
                    bev.set_rate_limit(Some(RateLimit::new())),
                    bev.set_watermark(Event::READ, 0, 0),
                    bev.flush(Event::READ, FlushMode::Normal).map(drop),
                    bev.output().add("x"),
                    bev.get_input().map(drop),
                    EventBufferEvent::create_pair(&set.base, plain).map(drop),
                    EventBufferEvent::create_filter(bev, Filters::new(), plain).map(drop),
                    EventBufferEvent::unconnected(&set.base, plain).map(drop),
                ];
                for (n, result) in calls.into_iter().enumerate() {
                    assert!(
                        matches!(result, Err(Error::Forked { .. })),
                        "{n}: {result:?}"
                    );
                }
                assert_eq!((bev.fd(), bev.input().length()), (None, 0));
            }
            set.base.re_init().unwrap();
            set.works();
            set.all().into_iter().for_each(EventBufferEvent::free);
            assert_eq!(set.base.dispatch().unwrap(), LoopEnd::NoEvents);
        });
        succeeds(child);
        set.unwrap().works();
    }
}

pub(crate) fn orphaned_buffer_events_are_freed_by_re_init() {
    for how in How::BOTH {
        for base in bases() {
            let mut set = Some(Set::new(base));
            let child = how.child(|| {
                let Set {
                    base,
                    socket,
                    filter,
                    other,
                    drops,
                    ..
                } = set.take().unwrap();
                socket.set_callbacks(Callbacks::new()).unwrap_err();
                let number = descriptors();
                other.free();
                drop((socket, filter, other));
                assert_eq!((drops.count(), descriptors()), (0, number));
                base.re_init().unwrap();
                assert_eq!(drops.count(), 3);
                assert_eq!(descriptors(), number - 1, "its own copy is closed");
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                Set::new(base).works();
            });
            succeeds(child);
            set.unwrap().works();
        }
    }
}
