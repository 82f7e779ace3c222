//! Sockets whose `as_fd` is the user's code: it is asked once, with nothing borrowed.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{AddressFamily, Error, Event, EventBase, EventBufferEvent};
use test_support::{new_base, poll};

use super::{BOTH, PLAIN, sockets};

type End = fn(&EventBufferEvent);
type Hook = Rc<RefCell<Option<Box<dyn FnMut()>>>>;

/// Counts how often it was asked, and runs the hook each time.
struct Asked {
    socket: UnixStream,
    times: Rc<Cell<u32>>,
    hook: Hook,
}

impl AsFd for Asked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.times.set(self.times.get() + 1);
        if let Some(hook) = &mut *self.hook.borrow_mut() {
            hook();
        }
        self.socket.as_fd()
    }
}

fn asked(hook: &Hook) -> (Asked, Rc<Cell<u32>>, UnixStream) {
    let (socket, peer) = sockets();
    let times = Rc::default();
    let source = Asked {
        socket,
        times: Rc::clone(&times),
        hook: Rc::clone(hook),
    };
    (source, times, peer)
}

#[test]
fn as_fd_is_called_once_whatever_is_done_with_the_buffer_event() {
    let base = new_base();
    let (source, times, _peer) = asked(&Hook::default());
    let bev = EventBufferEvent::new(&base, source, PLAIN).unwrap();
    assert_eq!(times.get(), 1);
    bev.enable(BOTH).unwrap();
    bev.write("x").unwrap();
    poll(&base);
    bev.connect_host(None, "127.0.0.1", 9, AddressFamily::UNSPEC)
        .unwrap_err(); // it is connected
    bev.connect("127.0.0.1:9").unwrap_err();
    bev.close().unwrap();
    bev.free();
    assert_eq!(times.get(), 1);
}

#[test]
fn as_fd_that_frees_the_base_makes_the_constructor_fail() {
    let base = new_base();
    let hook = Hook::default();
    let (source, _times, _peer) = asked(&hook);
    let frees = base.clone();
    *hook.borrow_mut() = Some(Box::new(move || frees.free().unwrap()));
    let error = EventBufferEvent::new(&base, source, PLAIN).unwrap_err();
    assert!(matches!(error, Error::Freed { .. }), "{error}");
}

/// What `as_fd` may do to its own buffer event, were it asked again.
const ENDS: [(&str, End); 3] = [
    ("free", |bev| bev.free()),
    ("close", |bev| drop(bev.close())),
    ("connect_host", |bev| {
        bev.connect_host(None, "127.0.0.1", 9, AddressFamily::UNSPEC)
            .unwrap_err();
    }),
];

#[test]
fn as_fd_that_ends_its_buffer_event_finds_nothing_borrowed() {
    for (name, end) in ENDS {
        let base: EventBase = new_base();
        let hook = Hook::default();
        let (source, _times, peer) = asked(&hook);
        let bev = EventBufferEvent::new(&base, source, PLAIN).unwrap();
        bev.enable(Event::READ).unwrap();
        let own = bev.clone();
        *hook.borrow_mut() = Some(Box::new(move || end(&own)));
        bev.connect_host(None, "127.0.0.1", 9, AddressFamily::UNSPEC)
            .unwrap_err();
        hook.take();
        bev.free();
        drop((bev, peer));
        assert_eq!(
            base.dispatch().unwrap(),
            php_event::LoopEnd::NoEvents,
            "{name}"
        );
    }
}
