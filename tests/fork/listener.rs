//! Listeners across `fork`.

use std::cell::Cell;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::rc::Rc;

use php_event::process::Fork;
use php_event::stream::fwrite;
use php_event::{Error, EventBase, EventListener, ListenerFlags, LoopEnd, Result};
use socket2::SockRef;

use crate::child::{How, bases, descriptors, run_once, succeeds};
use test_support::Drops;

const NO_FLAGS: ListenerFlags = ListenerFlags::empty();

/// A listener that says who it is, and counts.
struct Watched {
    base: EventBase,
    listener: EventListener,
    address: SocketAddr,
    calls: Rc<Cell<usize>>,
    drops: Drops,
}

impl Watched {
    fn new(base: EventBase) -> Self {
        let (calls, drops) = (Rc::new(Cell::new(0)), Drops::default());
        let (count, tokens) = (calls.clone(), [drops.token(), drops.token()]);
        let [token, other] = tokens;
        let callback = move |_: &EventListener, stream, _| {
            token.hold();
            count.set(count.get() + 1);
            fwrite(&stream, "hello").unwrap();
        };
        let target = "127.0.0.1:0";
        let listener = EventListener::new(&base, callback, NO_FLAGS, -1, target).unwrap();
        listener.set_error_callback(move |_| other.hold()).unwrap();
        let address = listener.get_socket_name().unwrap().ip().unwrap();
        Self {
            base,
            listener,
            address,
            calls,
            drops,
        }
    }

    /// A client is served in this process, in the next pass.
    #[track_caller]
    fn works(&self) {
        let before = self.calls.get();
        let mut client = TcpStream::connect(self.address).unwrap();
        run_once(&self.base);
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert_eq!((all.as_str(), self.calls.get()), ("hello", before + 1));
    }
}

// Skipped under Valgrind and ASan: the forked child keeps memory, as documented.
pub(crate) fn foreign_listeners_dropped_in_a_child_leave_the_parents_alone() {
    for how in How::BOTH {
        for base in bases() {
            let mut watched = Some(Watched::new(base));
            for order in 0..3 {
                let child = how.child(|| {
                    let watched = watched.take().unwrap();
                    match order {
                        0 => drop((watched.listener, watched.base)),
                        1 => drop((watched.base, watched.listener)),
                        _ => {
                            watched.listener.free();
                            assert_eq!(watched.listener.fd(), None);
                            assert_eq!(watched.drops.count(), 0);
                        }
                    }
                });
                succeeds(child);
                watched.as_ref().unwrap().works();
            }
        }
    }
}

pub(crate) fn every_call_on_a_listener_in_a_child_is_refused_until_re_init() {
    for how in How::BOTH {
        for base in bases() {
            let watched = Watched::new(base);
            let child = how.child(|| {
                let (base, listener) = (&watched.base, &watched.listener);
                let nobody = |_: &EventListener, _, _: Option<_>| {};
                let another = EventListener::new(base, nobody, NO_FLAGS, -1, "127.0.0.1:0");
                let calls: [(&str, Result<()>); 5] = [
                    ("enable", listener.enable()),
                    ("disable", listener.disable()),
                    ("set_callback", listener.set_callback(nobody)),
                    ("set_error_callback", listener.set_error_callback(|_| {})),
                    ("new", another.map(drop)),
                ];
                for (method, result) in calls {
                    let error = result.unwrap_err();
                    assert!(matches!(error, Error::Forked { .. }), "{method}: {error}");
                }
                assert!(listener.get_base().unwrap() == *base);
                assert_eq!(
                    listener.get_socket_name().unwrap().ip(),
                    Some(watched.address)
                );
                assert!(listener.fd().is_some());
                listener.get_base().unwrap().re_init().unwrap();
                watched.works(); // the parent waits for this child
                listener.disable().unwrap();
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                listener.free();
                assert_eq!(watched.drops.count(), 2);
            });
            succeeds(child);
            watched.works();
        }
    }
}

pub(crate) fn orphaned_listeners_are_freed_by_re_init_and_keep_their_sockets_open_until_then() {
    for how in How::BOTH {
        for base in bases() {
            let mut watched = Some(Watched::new(base));
            let child = how.child(|| {
                let Watched {
                    base,
                    listener,
                    drops,
                    ..
                } = watched.take().unwrap();
                let open = descriptors();
                drop(listener);
                assert_eq!((drops.count(), descriptors()), (0, open));
                base.re_init().unwrap();
                assert_eq!(drops.count(), 2);
                assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
                Watched::new(base).works();
            });
            succeeds(child);
            watched.unwrap().works();
        }
    }
}

/// Three connections wait when the first one's closure forks.
pub(crate) fn forked_in_a_burst_the_child_takes_none_of_the_parents_connections() {
    bases().into_iter().for_each(|base| burst(base, |_this| {}));
}

pub(crate) fn forked_in_a_burst_and_freed_the_child_takes_none_of_the_parents_connections() {
    bases()
        .into_iter()
        .for_each(|base| burst(base, EventListener::free));
}

/// `in_child` is done in the closure that forked.
fn burst(base: EventBase, in_child: fn(&EventListener)) {
    let (calls, forked) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let open = Rc::new(Cell::new(0)); // in the child, with the first connection
    let (count, result, counted) = (calls.clone(), forked.clone(), open.clone());
    let callback = move |this: &EventListener, _, _: Option<_>| {
        count.set(count.get() + 1);
        if result.get().is_none() {
            result.set(Some(How::Raw.fork()));
            match result.get() {
                Some(Fork::Parent(child)) => succeeds(child), // before this burst goes on
                _ => {
                    counted.set(descriptors());
                    in_child(this);
                }
            }
        }
    };
    let listener = EventListener::new(&base, callback, NO_FLAGS, -1, "127.0.0.1:0").unwrap();
    let address = listener.get_socket_name().unwrap().ip().unwrap();
    let number = listener.fd().unwrap();
    let _clients = [0; 3].map(|_| TcpStream::connect(address).unwrap());
    let end = catch_unwind(AssertUnwindSafe(|| base.r#loop(EventBase::LOOP_ONCE)));
    if forked.get() == Some(Fork::Child) {
        let as_due = catch_unwind(AssertUnwindSafe(|| {
            assert!(matches!(end.unwrap(), Err(Error::Forked { .. })));
            assert_eq!((calls.get(), descriptors()), (1, open.get() - 1));
            assert!(listens(number), "the number is another file's");
            listener.free();
            base.re_init().unwrap();
            assert_eq!(descriptors(), open.get() - 2);
            assert_eq!(base.dispatch().unwrap(), LoopEnd::NoEvents);
        }));
        exit(i32::from(as_due.is_err()));
    }
    assert_eq!(end.unwrap().unwrap(), LoopEnd::Passed);
    assert_eq!(calls.get(), 3);
}

#[allow(unsafe_code)]
fn listens(number: RawFd) -> bool {
    // SAFETY: the listener, or its base in its place, has the socket open.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    SockRef::from(&socket).is_listener().unwrap()
}
