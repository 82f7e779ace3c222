//! A `tracing` subscriber is user code: it may free the object of the call that libevent logged
//! about.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::panic::resume_unwind;
use std::rc::Rc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use php_event::{
    BufferEventOptions, Error, Event, EventBase, EventBufferEvent, EventHttp, EventListener,
    ListenerTarget, LoopEnd,
};
use socket2::SockRef;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Metadata, Subscriber};

use crate::Class;
use test_support::{
    Drops, alone, base_calls, base_with, event_calls, limited, panic_of, poll, run, run_once,
};

thread_local! {
    static WORK: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Calls what `WORK` has for each line of the log.
struct Calls;

impl Subscriber for Calls {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        let work = WORK.with_borrow(Clone::clone);
        if let Some(work) = work {
            work();
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

pub(crate) fn log_calls(work: impl Fn() + 'static) -> DefaultGuard {
    WORK.set(Some(Rc::new(work)));
    set_default(Calls)
}

/// Makes libevent log a warning that belongs to no failed call: epoll refuses a file, and
/// `write` succeeds all the same.
pub(crate) fn warn(base: &EventBase) {
    let file = tempfile::tempfile().unwrap();
    let bev = EventBufferEvent::new(base, file, BufferEventOptions::empty()).unwrap();
    bev.write("x").unwrap();
}

fn on_a_file(base: &EventBase) -> Event {
    let file = File::open("/etc/passwd").unwrap();
    Event::new(base, file, Event::READ, |_, _, _| {}).unwrap()
}

#[test]
fn failed_call_logs_nothing_until_the_loop_has_ended() {
    let base = EventBase::new().unwrap();
    let (event, lines) = (on_a_file(&base), Rc::new(Cell::new(0)));
    let (own, count) = (event.clone(), lines.clone());
    let _log = log_calls(move || {
        count.set(count.get() + 1);
        own.free();
    });
    warn(&base);
    for _ in 0..2 {
        let error = event.add(None).unwrap_err();
        assert!(error.to_string().contains("regular file"), "{error}");
    }
    assert_eq!(lines.get(), 0);
    poll(&base);
    assert_eq!(lines.get(), 1, "the causes of errors are not logged");
    assert!(matches!(event.add(None), Err(Error::Freed { .. })));
    WORK.take();
}

#[test]
fn subscriber_may_free_the_object_of_every_call() {
    for _ in 0..2 {
        let base = EventBase::new().unwrap();
        let event = on_a_file(&base);
        let (own, of) = (event.clone(), base.clone());
        let _log = log_calls(move || {
            own.free();
            of.free().ok();
        });
        warn(&base);
        event_calls(&event, &base);
        base_calls(&base);
        poll_if_possible(&base);
        WORK.take();
    }
}

/// A server whose next accept fails, because its socket was shut down.
fn server_that_cannot_accept(base: &EventBase) -> EventHttp {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let same = socket.try_clone().unwrap();
    let http = EventHttp::new(base).unwrap();
    http.accept(socket).unwrap();
    SockRef::from(&same).shutdown(Shutdown::Both).unwrap();
    http
}

#[test]
fn panic_of_the_subscriber_comes_out_of_a_loop_in_which_a_server_cannot_accept() {
    let base = EventBase::new().unwrap();
    let _http = server_that_cannot_accept(&base);
    warn(&base);
    let _log = log_calls(|| panic!("the subscriber"));
    assert_eq!(panic_of(|| poll(&base)), "the subscriber");
    WORK.take();
    poll(&base);
}

#[test]
fn subscriber_may_drop_a_server_that_cannot_accept() {
    let base = EventBase::new().unwrap();
    let http = RefCell::new(Some(server_that_cannot_accept(&base)));
    warn(&base);
    let lines = Rc::new(Cell::new(0));
    let count = lines.clone();
    let _log = log_calls(move || {
        count.set(count.get() + 1);
        drop(http.take());
    });
    poll(&base);
    assert_eq!(lines.get(), 1);
    WORK.take();
}

fn poll_if_possible(base: &EventBase) {
    base.r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
        .ok();
}

/// Calls a case for each class of the cases.
macro_rules! for_each_class {
    ($case:ident) => {
        $case::<crate::Descriptor>();
        $case::<crate::PersistentDescriptor>();
        $case::<crate::Timer>();
        $case::<crate::PersistentTimer>();
        $case::<crate::SignalThrice>();
        $case::<crate::BufferRead>();
        $case::<crate::BufferWrite>();
        $case::<crate::BufferEnd>();
        $case::<crate::QueuedRead>();
        $case::<crate::QueuedWrite>();
        $case::<crate::QueuedEnd>();
        $case::<crate::Accept>();
        $case::<crate::Failure>();
        $case::<crate::Completion>();
        #[cfg(feature = "openssl")]
        $case::<crate::TlsError>();
        #[cfg(feature = "openssl")]
        $case::<crate::TlsCompletion>();
    };
}

/// The subscriber gets libevent's texts before the first callback of a loop.
#[test]
fn object_that_the_subscriber_frees_before_its_callback_is_not_called() {
    for_each_class!(freed_before_its_callback);
}

fn freed_before_its_callback<C: Class>() {
    let _turn = C::turn();
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let token = drops.token();
    let handle = C::make(&base, move |_| {
        token.hold();
        unreachable!("it was freed");
    });
    C::fire(&handle);
    let own = Cell::new(Some(handle));
    let _log = log_calls(move || {
        if let Some(handle) = own.take() {
            C::free(&handle);
        }
    });
    warn(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);
    WORK.take();
}

#[test]
fn panic_of_the_subscriber_before_a_callback_comes_out_of_the_loop() {
    for_each_class!(panic_before_a_callback);
}

fn panic_before_a_callback<C: Class>() {
    let _turn = C::turn();
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let token = drops.token();
    let handle = C::make(&base, move |_| token.hold());
    C::fire(&handle);
    let _log = log_calls(|| panic!("in the log"));
    warn(&base);
    assert_eq!(panic_of(|| run_once(&base)), "in the log");
    WORK.take();
    C::free(&handle);
    drop(handle);
    assert_eq!(drops.count(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// It warns, and then pauses.
#[test]
fn subscriber_may_end_or_change_the_listener_that_cannot_accept() {
    type Work = fn(EventListener, &Cell<Option<EventListener>>);
    let works: [(&str, Work); 4] = [
        ("freed", |listener, own| {
            listener.free();
            own.set(Some(listener));
        }),
        ("dropped", |listener, _| drop(listener)),
        ("changed", |listener, own| {
            listener.set_error_callback(|this| this.free()).unwrap();
            own.set(Some(listener));
        }),
        ("panic", |listener, own| {
            own.set(Some(listener));
            panic!("in the log");
        }),
    ];
    for (name, work) in works {
        let (base, drops) = (EventBase::new().unwrap(), Drops::default());
        let (socket, token) = (
            Rc::new(TcpListener::bind("127.0.0.1:0").unwrap()),
            drops.token(),
        );
        let target = ListenerTarget::socket(Rc::clone(&socket));
        let accept = move |_: &EventListener, _, _: Option<_>| token.hold();
        let flags = EventListener::OPT_DISABLED;
        let listener = EventListener::new(&base, accept, flags, 0, target).unwrap();
        SockRef::from(&*socket).shutdown(Shutdown::Both).unwrap();
        listener.enable().unwrap();
        let own = Rc::new(Cell::new(Some(listener)));
        let (handle, calls) = (Rc::clone(&own), Rc::new(Cell::new(0)));
        let count = Rc::clone(&calls);
        let _log = log_calls(move || {
            count.set(count.get() + 1);
            work(handle.take().unwrap(), &handle);
        });
        if name == "panic" {
            assert_eq!(panic_of(|| run(&base)), "in the log");
        }
        assert_eq!(run(&base), LoopEnd::NoEvents, "{name}");
        assert_eq!(calls.get(), 1, "{name}");
        own.take();
        assert_eq!((drops.count(), Rc::strong_count(&socket)), (1, 1), "{name}");
        WORK.take();
    }
}

/// A client whose descriptor `select` cannot watch is logged and turned away.
#[test]
fn subscriber_may_drop_the_server_that_turns_a_client_away() {
    alone(&[], || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(2048)), hard).unwrap();
        for panics in [false, true] {
            let (base, drops) = (base_with("select"), Drops::default());
            let (http, token) = (EventHttp::new(&base).unwrap(), drops.token());
            http.set_default_callback(move |_| token.hold()).unwrap();
            let address = http.bind("127.0.0.1", 0).unwrap();
            let mut taken = vec![File::open("/dev/null").unwrap()];
            while taken.last().unwrap().as_raw_fd() < 1024 {
                taken.push(File::open("/dev/null").unwrap());
            }
            let own = Cell::new(Some(http));
            let _log = log_calls(move || {
                drop(own.take());
                if panics {
                    resume_unwind(Box::new("in the log")); // without a word on stderr
                }
            });
            let _client = TcpStream::connect(address).unwrap();
            let until_logged = || {
                while drops.count() == 0 {
                    run_once(&base);
                }
            };
            match panics {
                true => assert_eq!(panic_of(|| limited(until_logged)), "in the log"),
                false => limited(until_logged),
            }
            assert_eq!(drops.count(), 1);
            assert_eq!(run(&base), LoopEnd::NoEvents);
            WORK.take();
        }
    });
}
