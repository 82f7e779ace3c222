//! What a request's and a connection's closures may do when an answer has come over a
//! connection that stands. `tests/soundness` has the cases for one that was never made.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use php_event::{Error, Event, EventBase, EventHttpConnection, EventHttpRequest, LoopEnd};
use test_support::{Bomb, Drops, panic_of, run};

use super::over::{connect, serve};
use crate::server::Peer;
use crate::{GET, Log, noting};

/// Whose closure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Request,
    Connection,
}

const BOTH: [Which; 2] = [Which::Request, Which::Connection];

/// A connection with two requests; the closure that is looked at is that of the first, or the
/// one for the connection's close, which the server's answers ask for.
struct Rig {
    which: Which,
    base: EventBase,
    connection: RefCell<Option<EventHttpConnection>>,
    first: RefCell<Option<EventHttpRequest>>,
    second: EventHttpRequest,
    log: Log,
}

impl Rig {
    /// The closure is called once, however often its connection closes.
    fn new(which: Which, closure: impl FnMut(&Rc<Self>) + 'static) -> Rc<Self> {
        let base = EventBase::new().unwrap();
        let server = serve(|listener| {
            for _ in 0..2 {
                let mut peer = Peer::accept(&listener);
                if peer.read_request().is_empty() {
                    return;
                }
                peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                peer.end();
            }
        });
        let connection = connect(&base, server.port());
        let log = Log::default();
        let rig = Rc::new_cyclic(|weak: &std::rc::Weak<Self>| {
            let (weak, mut closure) = (weak.clone(), closure);
            let called = Cell::new(false);
            let mut once = move || {
                if let (Some(rig), false) = (weak.upgrade(), called.replace(true)) {
                    closure(&rig);
                }
            };
            let first = if which == Which::Request {
                EventHttpRequest::new(move |answer| {
                    assert!(answer.is_some());
                    once();
                })
                .unwrap()
            } else {
                connection.set_close_callback(move |_| once()).unwrap();
                noting(&log, "first")
            };
            Self {
                which,
                base,
                connection: RefCell::new(Some(connection)),
                first: RefCell::new(Some(first)),
                second: noting(&log, "second"),
                log,
            }
        });
        {
            let (connection, first) = (rig.connection.borrow(), rig.first.borrow());
            let make = |request| connection.as_ref().unwrap().make_request(request, GET, "/");
            make(first.as_ref().unwrap()).unwrap();
            make(&rig.second).unwrap();
        }
        rig
    }

    /// Has the closure dropped as soon as it is not running.
    fn give_up_closure(&self) {
        match self.which {
            Which::Request => self.first.borrow().as_ref().unwrap().free(),
            Which::Connection => {
                let connection = self.connection.borrow().clone().unwrap();
                connection.set_close_callback(|_| {}).unwrap();
            }
        }
    }

    /// What is told after the closure.
    fn rest(&self) -> &'static [&'static str] {
        match self.which {
            Which::Request => &["second 200"],
            Which::Connection => &["first 200", "second 200"],
        }
    }
}

#[test]
fn everything_dropped_inside_a_closure_is_freed_when_it_returns() {
    for which in BOTH {
        let drops = Drops::default();
        let (token, seen) = (drops.token(), drops.clone());
        let rig = Rig::new(which, move |rig| {
            token.hold();
            drop((rig.connection.take(), rig.first.take()));
            assert_eq!(seen.count(), 0);
        });
        assert_eq!(run(&rig.base), LoopEnd::NoEvents);
        assert_eq!((drops.count(), rig.log.take()), (1, vec![]), "{which:?}");
    }
}

#[test]
fn panic_in_a_closure_leaves_the_loop_and_the_rest_is_reported_later() {
    for which in BOTH {
        let rig = Rig::new(which, |_| panic!("out of the closure"));
        assert_eq!(panic_of(|| run(&rig.base)), "out of the closure");
        assert_eq!(rig.log.take(), [""; 0]);
        run(&rig.base);
        assert_eq!(rig.log.take(), rig.rest(), "{which:?}");
    }
}

#[test]
fn panic_in_a_captured_drop_leaves_the_loop_and_the_rest_is_reported_later() {
    for which in BOTH {
        let bomb = Bomb("dropped");
        let rig = Rig::new(which, move |rig| {
            bomb.hold();
            rig.give_up_closure();
        });
        assert_eq!(panic_of(|| run(&rig.base)), "dropped");
        run(&rig.base);
        assert_eq!(rig.log.take(), rig.rest(), "{which:?}");
    }
}

#[test]
fn panic_in_a_closure_and_in_a_captured_drop_passes_the_first_on() {
    for which in BOTH {
        let bomb = Bomb("second");
        let rig = Rig::new(which, move |rig| {
            bomb.hold();
            rig.give_up_closure();
            panic!("first");
        });
        assert_eq!(panic_of(|| run(&rig.base)), "first");
        run(&rig.base);
        assert_eq!(rig.log.take(), rig.rest(), "{which:?}");
    }
}

#[test]
fn panic_in_another_loop_inside_a_closure_passes_through_both() {
    for which in BOTH {
        let other = EventBase::new().unwrap();
        let timer = Event::timer(&other, |_| panic!("innermost")).unwrap();
        let inner = other.clone();
        let rig = Rig::new(which, move |_| {
            timer.add(test_support::NOW).unwrap();
            inner.dispatch().unwrap();
        });
        assert_eq!(panic_of(|| run(&rig.base)), "innermost");
        assert!(rig.base.got_stop() && other.got_stop());
        run(&rig.base);
        assert_eq!(rig.log.take(), rig.rest(), "{which:?}");
    }
}

#[test]
fn own_base_is_neither_run_nor_freed_inside_a_closure() {
    for which in BOTH {
        let refused = Log::default();
        let note = refused.clone();
        let rig = Rig::new(which, move |rig| {
            for result in [rig.base.dispatch().map(drop), rig.base.free()] {
                let is_refused = matches!(result, Err(Error::State { .. }));
                note.note(is_refused.to_string());
            }
        });
        run(&rig.base);
        assert_eq!(refused.take(), ["true", "true"]);
        assert_eq!(rig.log.take(), rig.rest(), "{which:?}");
    }
}

#[test]
fn requests_cancelled_inside_a_closure_are_not_reported_and_may_be_made_again() {
    for which in BOTH {
        let rig = Rig::new(which, |rig| {
            rig.second.cancel().unwrap();
            if rig.which == Which::Connection {
                rig.first.borrow().as_ref().unwrap().cancel().unwrap();
            }
        });
        assert_eq!(run(&rig.base), LoopEnd::NoEvents);
        assert_eq!(rig.log.take(), [""; 0], "{which:?}");
        let connection = rig.connection.borrow().clone().unwrap();
        connection.make_request(&rig.second, GET, "/").unwrap();
        run(&rig.base);
        assert_eq!(rig.log.take(), ["second 200"], "{which:?}");
    }
}
