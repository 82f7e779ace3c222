//! A `tracing` subscriber is user code: it may free the object of the call that libevent logged
//! about.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::rc::Rc;

use php_event::{BufferEventOptions, Error, Event, EventBase, EventBufferEvent};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, set_default};
use tracing::{Metadata, Subscriber};

use test_support::{base_calls, event_calls, poll};

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

fn log_calls(work: impl Fn() + 'static) -> DefaultGuard {
    WORK.set(Some(Rc::new(work)));
    set_default(Calls)
}

/// Makes libevent log a warning that belongs to no failed call: epoll refuses a file, and
/// `write` succeeds all the same.
fn warn(base: &EventBase) {
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

fn poll_if_possible(base: &EventBase) {
    base.r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
        .ok();
}
