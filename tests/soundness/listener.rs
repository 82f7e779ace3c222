//! The two closures of `EventListener`, as classes for the cases; and what only bursts of
//! connections have.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::rc::{Rc, Weak};

use php_event::{EventBase, EventListener, ListenerFlags, ListenerTarget, LoopEnd};
use socket2::SockRef;

use crate::Class;
use test_support::{Drops, OnDrop, panic_of, run, run_once};

const DISABLED: ListenerFlags = EventListener::OPT_DISABLED;

fn address(listener: &EventListener) -> SocketAddr {
    listener.get_socket_name().unwrap().ip().unwrap()
}

/// A connection comes.
pub(crate) struct Accept;

impl Class for Accept {
    type Handle = EventListener;

    fn make(base: &EventBase, mut f: impl FnMut(&EventListener) + 'static) -> EventListener {
        let callback = move |listener: &EventListener, _, _| f(listener);
        EventListener::new(base, callback, DISABLED, -1, "127.0.0.1:0").unwrap()
    }

    fn fire(listener: &EventListener) {
        listener.enable().unwrap();
        TcpStream::connect(address(listener)).unwrap();
    }

    fn disarm(listener: &EventListener) {
        listener.disable().unwrap();
    }

    fn free(listener: &EventListener) {
        listener.free();
    }

    fn replace(
        listener: &EventListener,
        _: &EventBase,
        mut f: impl FnMut(&EventListener) + 'static,
    ) -> bool {
        listener.set_callback(move |this, _, _| f(this)).unwrap();
        true
    }
}

thread_local! {
    /// The sockets of the listeners that are to fail, by their numbers.
    static SOCKETS: RefCell<HashMap<RawFd, Weak<TcpListener>>> = RefCell::default();
}

/// A connection cannot be accepted: the socket was shut down.
pub(crate) struct Failure;

impl Class for Failure {
    type Handle = EventListener;

    fn make(base: &EventBase, f: impl FnMut(&EventListener) + 'static) -> EventListener {
        let socket = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        SOCKETS.with_borrow_mut(|all| all.insert(socket.as_raw_fd(), Rc::downgrade(&socket)));
        let nobody = |_: &EventListener, _, _: Option<_>| panic!("accepted");
        let target = ListenerTarget::socket(socket);
        let listener = EventListener::new(base, nobody, DISABLED, 0, target).unwrap();
        listener.set_error_callback(f).unwrap();
        listener
    }

    fn fire(listener: &EventListener) {
        let fd = listener.fd().unwrap();
        let socket = SOCKETS.with_borrow(|all| all[&fd].upgrade().unwrap());
        SockRef::from(&*socket).shutdown(Shutdown::Both).ok(); // not the second time
        listener.enable().unwrap();
    }

    fn disarm(listener: &EventListener) {
        listener.disable().unwrap();
    }

    fn free(listener: &EventListener) {
        listener.free();
    }

    fn replace(
        listener: &EventListener,
        _: &EventBase,
        f: impl FnMut(&EventListener) + 'static,
    ) -> bool {
        listener.set_error_callback(f).unwrap();
        true
    }
}

/// A listener with three connections that wait.
fn burst(base: &EventBase, f: impl FnMut(&EventListener) + 'static) -> EventListener {
    let listener = Accept::make(base, f);
    (0..3).for_each(|_| Accept::fire(&listener));
    listener
}

#[test]
fn each_way_of_ending_a_burst_ends_it() {
    type Ending = fn(&EventListener, &RefCell<Option<EventListener>>);
    let endings: [(&str, Ending); 5] = [
        ("freed", |this, _| this.free()),
        ("dropped", |_, own| drop(own.take())),
        ("freed and dropped", |this, own| {
            this.free();
            drop(own.take());
        }),
        ("disabled and dropped", |this, own| {
            this.disable().unwrap();
            drop(own.take());
        }),
        ("panic", |_, own| {
            drop(own.take());
            panic!("in a burst");
        }),
    ];
    for (name, ending) in endings {
        let base = EventBase::new().unwrap();
        let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
        let slot: Rc<RefCell<Option<EventListener>>> = Rc::default();
        let (token, count, own) = (drops.token(), calls.clone(), slot.clone());
        let listener = burst(&base, move |this| {
            token.hold();
            count.set(count.get() + 1);
            ending(this, &own);
        });
        slot.replace(Some(listener));
        if name == "panic" {
            assert_eq!(panic_of(|| run_once(&base)), "in a burst");
        } else {
            run_once(&base);
        }
        slot.take();
        assert_eq!((calls.get(), drops.count()), (1, 1), "{name}");
        assert_eq!(run(&base), LoopEnd::NoEvents, "{name}");
    }
}

#[test]
fn freed_in_the_second_call_of_a_burst_does_not_see_the_third() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let listener = burst(&base, move |this| {
        token.hold();
        count.set(count.get() + 1);
        if count.get() == 2 {
            this.free();
        }
    });
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (2, 1));
    drop(listener);
}

#[test]
fn captured_drop_of_a_listener_in_a_burst_may_free_it_again_and_panic() {
    let base = EventBase::new().unwrap();
    let slot: Rc<RefCell<Option<EventListener>>> = Rc::default();
    let (own, again) = (slot.clone(), slot.clone());
    let last = OnDrop(move || {
        assert!(
            again
                .borrow()
                .as_ref()
                .is_some_and(|this| this.fd().is_none())
        );
        panic!("the last of it");
    });
    let listener = burst(&base, move |this| {
        last.hold();
        own.replace(Some(this.clone()));
        this.free();
    });
    assert_eq!(panic_of(|| run_once(&base)), "the last of it");
    drop(listener);
    slot.take();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn both_closures_may_replace_each_other() {
    let base = EventBase::new().unwrap();
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count) = (drops.token(), calls.clone());
    let listener = burst(&base, move |this| {
        token.hold();
        let (token, count) = (token.twin(), count.clone());
        this.set_error_callback(move |_| token.hold()).unwrap();
        this.set_callback(move |this, _, _| {
            count.set(count.get() + 1);
            this.set_error_callback(|_| {}).unwrap();
        })
        .unwrap();
    });
    run_once(&base);
    assert_eq!((calls.get(), drops.count()), (2, 2));
    drop(listener);
}

#[test]
fn paused_and_dropped_leaves_nothing_behind() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let socket = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let (token, twin) = (drops.token(), ListenerTarget::socket(socket.clone()));
    let callback = move |_: &EventListener, _, _: Option<_>| token.hold();
    let listener = EventListener::new(&base, callback, DISABLED, 0, twin).unwrap();
    SockRef::from(&*socket).shutdown(Shutdown::Both).unwrap();
    listener.enable().unwrap();
    run_once(&base);
    drop(listener); // in its pause
    assert_eq!((drops.count(), Rc::strong_count(&socket)), (1, 1));
    assert_eq!(run(&base), LoopEnd::NoEvents);
}
