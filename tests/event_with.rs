//! `EventWith`: an event with its user's value.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use php_event::{Error, Event, EventBase, EventFlags, EventWith, Handler, LoopEnd, Result};
use test_support::{
    Drops, NOW, Seen, Token, event_calls, ms, new_base, panic_of, run, signals_turn,
};

/// Notes each call, and does something in it.
struct Noting<F> {
    seen: Seen<EventFlags>,
    work: F,
    _token: Option<Token>,
}

impl<F: Fn(&Event) + 'static> Handler for Noting<F> {
    fn fire(&self, event: &Event, what: EventFlags) {
        self.seen.note(what);
        (self.work)(event);
    }
}

fn noting<F: Fn(&Event) + 'static>(seen: &Seen<EventFlags>, work: F) -> Noting<F> {
    Noting {
        seen: seen.clone(),
        work,
        _token: None,
    }
}

#[allow(unsafe_code)]
fn watch_number<H: Handler>(
    base: &EventBase,
    fd: RawFd,
    what: EventFlags,
    handler: H,
) -> Result<EventWith<H>> {
    // SAFETY: a number that is refused, or of a socket that its test closes after the event.
    unsafe { EventWith::descriptor(base, fd, what, handler) }
}

#[test]
fn a_periodic_one_that_is_called_late_is_due_in_time_again() {
    let (base, seen) = (new_base(), Seen::new());
    let timer = |name: &'static str, after: u64, work: fn(&Event)| {
        let seen = seen.clone();
        let event = Event::timer(&base, move |event| {
            seen.note(name);
            work(event);
        });
        let event = event.unwrap();
        event.add(ms(after)).unwrap();
        event
    };
    let _slow = timer("slow", 390, |_| thread::sleep(Duration::from_millis(160)));
    let _between = timer("between", 875, |event| event.base().stop().unwrap());
    let periodic = EventWith::periodic(&base, Ticking(seen.clone())).unwrap();
    periodic.add(ms(400)).unwrap();
    assert_eq!(run(&base), LoopEnd::Stop);
    assert_eq!(seen.take(), ["slow", "tick", "tick", "between"]); // due at 400 and 800
    assert!(periodic.is_pending());
}

/// Notes each call.
struct Ticking(Seen<&'static str>);

impl Handler for Ticking {
    fn fire(&self, _event: &Event, what: EventFlags) {
        assert_eq!(what, Event::TIMEOUT);
        self.0.note("tick");
    }
}

/// Has a handle of its own event, which its callback drops.
#[derive(Default)]
struct DropsItself {
    own: RefCell<Option<EventWith<Self>>>,
    token: RefCell<Option<Token>>,
    used_after: Cell<bool>,
}

impl Handler for DropsItself {
    fn fire(&self, _event: &Event, _what: EventFlags) {
        let own = self.own.take();
        assert!(own.is_some());
        drop(own);
        self.used_after.set(true);
        self.token.borrow().as_ref().unwrap().hold();
    }
}

#[test]
fn dropped_inside_its_own_callback_it_goes_when_that_returns() {
    let (base, drops) = (new_base(), Drops::default());
    let timer = EventWith::timer(&base, DropsItself::default()).unwrap();
    timer.handler().token.replace(Some(drops.token()));
    timer.add(NOW).unwrap();
    let copy = timer.clone();
    timer.handler().own.replace(Some(copy));
    drop(timer);
    assert_eq!(drops.count(), 0);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);
}

#[test]
fn freed_inside_its_own_callback_it_keeps_its_value_until_the_last_handle_goes() {
    let (base, drops, seen) = (new_base(), Drops::default(), Seen::new());
    let handler = Noting {
        _token: Some(drops.token()),
        ..noting(&seen, Event::free)
    };
    let timer = EventWith::timer(&base, handler).unwrap();
    timer.add(NOW).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((seen.len(), drops.count()), (1, 0));
    assert!(timer.is_freed() && !timer.is_pending());
    assert!(matches!(timer.add(NOW), Err(Error::Freed { .. })));
    assert!(matches!(timer.del(), Err(Error::Freed { .. })));
    timer.free();
    drop(timer);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_panic_deletes_it_and_comes_out_of_the_loop() {
    let (base, seen) = (new_base(), Seen::new());
    let handler = noting(&seen, |event| {
        event.add(NOW).unwrap();
        panic!("in the callback");
    });
    let timer = EventWith::timer(&base, handler).unwrap();
    timer.add(NOW).unwrap();
    assert_eq!(panic_of(|| run(&base)), "in the callback");
    assert!(!timer.is_pending() && !timer.is_freed());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.len(), 1);
}

#[test]
fn a_closure_that_is_set_inside_its_callback_runs_in_its_place() {
    let (base, seen, later) = (new_base(), Seen::new(), Seen::new());
    let (other, noted) = (base.clone(), later.clone());
    let handler = noting(&seen, move |event| {
        let noted = noted.clone();
        event
            .set_timer(&other, move |_event| noted.note(()))
            .unwrap();
        event.add(NOW).unwrap();
    });
    let timer = EventWith::timer(&base, handler).unwrap();
    timer.add(NOW).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((seen.len(), later.len()), (1, 1));
    timer.add(NOW).unwrap();
    timer.free();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(later.len(), 1);
}

#[test]
fn its_pointer_is_a_handle() {
    let (base, drops, seen) = (new_base(), Drops::default(), Seen::new());
    let handler = Noting {
        _token: Some(drops.token()),
        ..noting(&seen, (|_event| {}) as fn(&Event))
    };
    let timer = EventWith::timer(&base, handler).unwrap();
    timer.add(NOW).unwrap();
    let event = timer.event();
    let raw = timer.into_raw();
    assert!(!raw.is_null());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.len(), 1);
    drop(event);
    assert_eq!(drops.count(), 0);
    #[allow(unsafe_code)]
    // SAFETY: the pointer of the event above, taken back once.
    drop(unsafe { EventWith::<Noting<fn(&Event)>>::from_raw(raw) });
    assert_eq!(drops.count(), 1);
}

#[test]
fn freed_from_the_start_it_answers_that() {
    let (base, seen) = (new_base(), Seen::new());
    let timer = EventWith::freed(&base, noting(&seen, |_event| {}));
    assert!(timer.is_freed() && !timer.is_pending());
    for (call, result) in event_calls(&timer.event(), &base) {
        assert!(matches!(result, Err(Error::Freed { .. })), "{call}");
    }
}

#[test]
fn a_descriptor_that_is_ready_calls_it_each_time() {
    let (base, seen) = (new_base(), Seen::new());
    let (near, mut far) = UnixStream::pair().unwrap();
    let handler = noting(&seen, |event| event.base().stop().unwrap());
    let event = watch_number(
        &base,
        near.as_raw_fd(),
        Event::READ | Event::PERSIST,
        handler,
    )
    .unwrap();
    event.add(None).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(run(&base), LoopEnd::Stop);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert_eq!(seen.take(), [Event::READ, Event::READ]);
    event.del().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn a_signal_calls_it_until_it_is_deleted() {
    let _turn = signals_turn();
    let (base, seen) = (new_base(), Seen::new());
    let handler = noting(&seen, |event| drop(event.del()));
    let event = EventWith::signal(&base, libc::SIGUSR1, handler).unwrap();
    event.add(None).unwrap();
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::SIGNAL]);
}

#[test]
fn a_signal_that_came_three_times_calls_one_that_is_deleted_when_it_fires_three_times() {
    let _turn = signals_turn();
    let (base, seen) = (new_base(), Seen::new());
    let handler = noting(&seen, |event| assert!(!event.is_pending()));
    let event = EventWith::signal_once(&base, libc::SIGUSR1, handler).unwrap();
    for _ in 0..2 {
        event.add(None).unwrap();
        for _ in 0..3 {
            raise(Signal::SIGUSR1).unwrap();
        }
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [Event::SIGNAL; 3]);
    }
}

#[test]
fn freed_in_the_first_of_three_calls_for_a_signal_it_is_not_called_again() {
    let _turn = signals_turn();
    let (base, seen) = (new_base(), Seen::new());
    let handler = noting(&seen, Event::free);
    let event = EventWith::signal_once(&base, libc::SIGUSR1, handler).unwrap();
    event.add(None).unwrap();
    for _ in 0..3 {
        raise(Signal::SIGUSR1).unwrap();
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::SIGNAL]);
}

/// Moves its event to another base, whose loop it runs, and drops it.
struct Moving {
    to: RefCell<Option<EventBase>>,
    own: Rc<RefCell<Option<EventWith<Moving>>>>,
    calls: Rc<Cell<usize>>,
    _token: Token,
}

impl Handler for Moving {
    fn fire(&self, event: &Event, _what: EventFlags) {
        self.calls.set(self.calls.get() + 1);
        let Some(second) = self.to.take() else {
            return; // the call of the second base
        };
        second.set(event).unwrap();
        event.add(None).unwrap();
        raise(Signal::SIGUSR1).unwrap();
        second.r#loop(EventBase::LOOP_ONCE).unwrap();
        drop(self.own.take());
    }
}

#[test]
fn moved_with_calls_owed_it_may_end_after_a_loop_of_its_new_base() {
    let _turn = signals_turn();
    let (first, second) = (new_base(), new_base());
    let (own, calls, drops) = (Rc::default(), Rc::new(Cell::new(0)), Drops::default());
    let moving = Moving {
        to: RefCell::new(Some(second)),
        own: Rc::clone(&own),
        calls: Rc::clone(&calls),
        _token: drops.token(),
    };
    let event = EventWith::signal_once(&first, libc::SIGUSR1, moving).unwrap();
    event.add(None).unwrap();
    own.replace(Some(event));
    for _ in 0..3 {
        raise(Signal::SIGUSR1).unwrap();
    }
    assert_eq!(run(&first), LoopEnd::NoEvents);
    assert_eq!((calls.get(), drops.count()), (2, 1));
}

#[test]
fn what_no_event_can_wait_for_is_refused() {
    let (base, seen) = (new_base(), Seen::new());
    let (near, _far) = UnixStream::pair().unwrap();
    let idle = || noting(&seen, |_event| {});
    let refused = [
        watch_number(&base, near.as_raw_fd(), Event::TIMEOUT, idle()).err(),
        watch_number(&base, -1, Event::READ, idle()).err(),
        EventWith::signal(&base, libc::SIGKILL, idle()).err(),
        EventWith::signal_once(&base, libc::SIGKILL, idle()).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Argument { .. })), "{error:?}");
    }
}
