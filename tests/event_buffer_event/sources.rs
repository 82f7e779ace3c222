//! Sockets and texts whose `as_fd`, `as_ref` or `into` is the user's code: each is asked once,
//! with nothing borrowed.

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;

use php_event::{AddressFamily, Error, Event, EventBase, EventBufferEvent, LoopEnd, Result};
use test_support::{Drops, OnDrop, Owning, new_base, poll, run};

use super::filters::{on, up};
use super::{BOTH, PLAIN, connected, sockets};

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

#[cfg(feature = "openssl")]
#[test]
fn as_fd_that_frees_the_base_makes_the_constructor_of_tls_fail() {
    use php_event::{EventSslContext, SslState};

    let base = new_base();
    let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &[]).unwrap();
    let hook = Hook::default();
    let (source, times, _peer) = asked(&hook);
    let frees = base.clone();
    *hook.borrow_mut() = Some(Box::new(move || frees.free().unwrap()));
    let state = SslState::Connecting;
    let error = EventBufferEvent::ssl_socket(&base, source, &context, state, PLAIN).unwrap_err();
    assert!(matches!(error, Error::Freed { .. }), "{error}");
    assert_eq!(times.get(), 1);
}

/// An argument that frees the buffer event when it is looked at.
struct Ending(EventBufferEvent, UnixStream);

impl AsRef<[u8]> for Ending {
    fn as_ref(&self) -> &[u8] {
        self.0.free();
        b"hello"
    }
}

impl From<Ending> for Arc<[u8]> {
    fn from(ending: Ending) -> Self {
        Self::from(ending.as_ref())
    }
}

impl AsFd for Ending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.free();
        self.1.as_fd()
    }
}

#[test]
fn arguments_that_free_their_buffer_event_make_the_call_fail() {
    type Call = fn(&EventBufferEvent, Ending) -> Result<()>;
    let calls: [(&str, Call); 7] = [
        ("write", |bev, text| bev.write(text)),
        ("add", |bev, text| bev.output().add(text)),
        ("prepend", |bev, text| bev.output().prepend(text)),
        ("add_reference", |bev, text| {
            bev.output().add_reference(text)
        }),
        ("search", |bev, text| {
            bev.input().search(text, 0, None).map(drop)
        }),
        ("read_from", |bev, socket| {
            bev.output().read_from(socket, None).map(drop)
        }),
        ("write of a buffer", |bev, socket| {
            bev.output().write(socket, None).map(drop)
        }),
    ];
    for (name, call) in calls {
        for is_filter in [false, true] {
            let base = new_base();
            let (under, _peer) = connected(&base);
            let bev = if is_filter { on(&under, up()) } else { under };
            let argument = Ending(bev.clone(), sockets().0);
            let error = call(&bev, argument).unwrap_err();
            assert!(matches!(error, Error::Freed { .. }), "{name}: {error}");
        }
    }
}

#[test]
fn socket_may_use_its_buffer_event_when_close_drops_it() {
    type Work = fn(&EventBufferEvent);
    let works: [Work; 3] = [
        |bev| bev.free(),
        |bev| drop(bev.close().unwrap_err()),
        |bev| assert_eq!((bev.fd(), bev.read(9).unwrap()), (None, None)),
    ];
    for work in works {
        let (base, drops) = (new_base(), Drops::default());
        let own = Rc::new(RefCell::new(None::<EventBufferEvent>));
        let (handle, token) = (Rc::clone(&own), drops.token());
        let last = OnDrop(move || {
            token.hold();
            work(handle.borrow().as_ref().unwrap());
        });
        let (socket, _peer) = sockets();
        let bev = EventBufferEvent::new(&base, Owning(socket, last), PLAIN).unwrap();
        bev.enable(Event::READ).unwrap();
        own.replace(Some(bev.clone()));
        bev.close().unwrap();
        assert_eq!(drops.count(), 1);
        own.take();
        drop(bev);
        assert_eq!(run(&base), LoopEnd::NoEvents);
    }
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
        assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents, "{name}");
    }
}
