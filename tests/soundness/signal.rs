//! Signal events: calls that libevent still owes, and two bases that want the signals.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise};
use php_event::{Error, Event, EventBase, LoopEnd};

use test_support::{Drops, poll, run, run_once, set_disposition, signals_turn};

const REFUSAL: &str = "Event::addSignal: another base has signal events, and libevent serves one base's \
                       signals in a process; delete those events first, or add this one to that base";

fn counted(base: &EventBase, signum: i32) -> (Event, Rc<Cell<usize>>) {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let event = Event::signal(base, signum, move |got, event| {
        assert_eq!(got, signum);
        assert!(event.pending(Event::SIGNAL));
        count.set(count.get() + 1);
    });
    (event.unwrap(), calls)
}

#[track_caller]
fn refused(event: &Event) {
    let error = event.add_signal(None).unwrap_err();
    assert!(matches!(error, Error::State { .. }));
    assert_eq!(error.to_string(), REFUSAL);
    assert!(!event.is_pending());
}

/// What the process does on a signal now; it is ignored from then on.
fn disposition(signal: Signal) -> SigHandler {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    set_disposition(signal, &ignore).handler()
}

#[test]
fn signal_raised_three_times_is_called_three_times() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    let (event, calls) = counted(&base, libc::SIGUSR1);
    let (other, others) = counted(&base, libc::SIGUSR2);
    event.add_signal(None).unwrap();
    other.add_signal(None).unwrap();
    for signal in [
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGUSR1,
        Signal::SIGUSR1,
    ] {
        raise(signal).unwrap();
    }
    poll(&base);
    assert_eq!((calls.get(), others.get()), (3, 1));
}

/// libevent stops the calls it still owes through a pointer into the frame of its loop, and
/// keeps that pointer. Deleting the event again must not write there.
#[test]
fn deleted_with_calls_owed_and_again_later_leaves_the_stack_alone() {
    let _turn = signals_turn();
    for time in [None, Some(Duration::from_secs(60))] {
        let base = EventBase::new().unwrap();
        let event = Event::signal(&base, libc::SIGUSR1, |_, event| event.del().unwrap()).unwrap();
        event.add_signal(None).unwrap();
        for _ in 0..3 {
            raise(Signal::SIGUSR1).unwrap();
        }
        run_once(&base);
        over_the_loops_frames(|| {
            event.del().unwrap();
            event.add(time).unwrap();
            event.add(time).unwrap();
            event.del().unwrap();
        });
        over_the_loops_frames(|| drop(event));
        over_the_loops_frames(|| drop(base));
    }
}

/// Does `work` above a stretch of stack that covers where the loop's frames were, and looks
/// whether something was written into it.
#[inline(never)]
fn over_the_loops_frames(work: impl FnOnce()) {
    let mut stretch = [0xa5_u8; 1 << 17];
    std::hint::black_box(&mut stretch);
    work();
    let written = std::hint::black_box(&stretch).iter();
    assert_eq!(written.filter(|byte| **byte != 0xa5).count(), 0);
}

/// In C, the time of an event that waits for a descriptor lies where a signal event has what its
/// running calls are ended by.
#[test]
fn timer_removed_with_calls_owed_leaves_them_owed_until_the_event_ends() {
    type Act = fn(&RefCell<Option<Event>>);
    let acts: [(Act, usize); 3] = [
        (|_own| (), 3),
        (|own| own.borrow().as_ref().unwrap().del().unwrap(), 1),
        (|own| drop(own.take()), 1),
    ];
    let _turn = signals_turn();
    for (act, expected) in acts {
        let base = EventBase::new().unwrap();
        let own = Rc::new(RefCell::new(None));
        let (calls, drops) = (Rc::new(Cell::new(0)), Drops::default());
        let (slot, count, token) = (Rc::clone(&own), Rc::clone(&calls), drops.token());
        let event = Event::signal(&base, libc::SIGUSR1, move |_, event| {
            token.hold();
            count.set(count.get() + 1);
            event.remove_timer().unwrap();
            assert!(!event.pending(Event::TIMEOUT));
            act(&slot);
        });
        own.replace(Some(event.unwrap()));
        let add = |event: &Option<Event>| {
            let time = Some(Duration::from_secs(60));
            event.as_ref().unwrap().add_signal(time).unwrap();
        };
        add(&own.borrow());
        for _ in 0..3 {
            raise(Signal::SIGUSR1).unwrap();
        }
        run_once(&base);
        assert_eq!(calls.get(), expected);
        own.take();
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn timer_removed_before_the_calls_for_a_signal_leaves_all_of_them() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    base.priority_init(2).unwrap();
    let (event, calls) = counted(&base, libc::SIGUSR1);
    event.set_priority(1).unwrap();
    let event = Rc::new(event);
    let timed = Rc::clone(&event);
    let first = Event::signal(&base, libc::SIGUSR2, move |_, _| {
        timed.remove_timer().unwrap()
    });
    let first = first.unwrap();
    first.set_priority(0).unwrap();
    first.add_signal(None).unwrap();
    event.add_signal(Some(Duration::from_secs(60))).unwrap();
    assert!(event.pending(Event::TIMEOUT));
    for signal in [Signal::SIGUSR1, Signal::SIGUSR1, Signal::SIGUSR2] {
        raise(signal).unwrap();
    }
    poll(&base);
    poll(&base);
    assert_eq!(calls.get(), 2);
    assert!(event.pending(Event::SIGNAL) && !event.pending(Event::TIMEOUT));
    event.add_signal(None).unwrap();
    assert!(!event.pending(Event::TIMEOUT));
    event.add_signal(Some(Duration::from_millis(1))).unwrap();
    assert!(event.pending(Event::TIMEOUT));
}

#[test]
fn stop_drops_pending_calls_and_the_event_still_works() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    let (calls, own) = (Rc::new(Cell::new(0)), base.clone());
    let count = calls.clone();
    let event = Event::signal(&base, libc::SIGUSR1, move |_, _| {
        count.set(count.get() + 1);
        own.stop().unwrap();
    })
    .unwrap();
    event.add_signal(None).unwrap();
    for _ in 0..3 {
        raise(Signal::SIGUSR1).unwrap();
    }
    assert_eq!(run_once(&base), LoopEnd::Stop);
    assert_eq!(calls.get(), 1);
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(run_once(&base), LoopEnd::Stop);
    assert_eq!(calls.get(), 2);
    over_the_loops_frames(|| event.del().unwrap());
}

#[test]
fn signal_event_whose_time_passed_leaves_the_signals_to_another_base() {
    let _turn = signals_turn();
    let (base, other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let event = Event::signal(&base, libc::SIGUSR1, move |_, event| {
        assert!(!event.is_pending());
        count.set(count.get() + 1);
    })
    .unwrap();
    event.add_signal(Some(Duration::from_millis(1))).unwrap();
    let (rival, _) = counted(&other, libc::SIGUSR1);
    refused(&rival);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    rival.add_signal(None).unwrap();
    refused(&event);
}

#[test]
fn second_base_is_refused_until_the_first_has_no_signal_event_left() {
    let _turn = signals_turn();
    type End = fn(Event, EventBase);
    let ends: [(&str, End); 5] = [
        ("deleted", |event, _| event.del_signal().unwrap()),
        ("dropped", |event, _| drop(event)),
        ("freed", |event, _| event.free()),
        ("base freed", |_event, base| base.free().unwrap()),
        ("moved away", |event, _| {
            event.del().unwrap();
            EventBase::new().unwrap().set(&event).unwrap();
        }),
    ];
    for (how, end) in ends {
        let (first, second) = (EventBase::new().unwrap(), EventBase::new().unwrap());
        let (event, _) = counted(&first, libc::SIGUSR1);
        let (kept, _) = counted(&first, libc::SIGWINCH);
        let (rival, calls) = counted(&second, libc::SIGUSR2);
        event.add_signal(None).unwrap();
        kept.add_signal(None).unwrap();
        refused(&rival);
        let same_base = first.clone();
        end(event, same_base);
        if how != "base freed" {
            refused(&rival); // the first base has another one
            kept.free();
        }
        rival.add_signal(None).unwrap();
        raise(Signal::SIGUSR2).unwrap();
        poll(&second);
        assert_eq!(calls.get(), 1, "{how}");
        if how != "base freed" {
            poll(&first); // a loop of the former owner takes nothing back
        }
        raise(Signal::SIGUSR2).unwrap();
        poll(&second);
        assert_eq!(calls.get(), 2, "{how}");
    }
}

#[test]
fn second_base_in_another_thread_is_refused_until_the_first_is_done() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    let (event, calls) = counted(&base, libc::SIGUSR1);
    event.add_signal(None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| refused(&counted(&EventBase::new().unwrap(), libc::SIGUSR1).0));
    });
    raise(Signal::SIGUSR1).unwrap();
    poll(&base);
    assert_eq!(calls.get(), 1);
    drop(event);
    thread::scope(|scope| {
        scope.spawn(|| {
            let base = EventBase::new().unwrap();
            let (event, calls) = counted(&base, libc::SIGUSR1);
            event.add_signal(None).unwrap();
            raise(Signal::SIGUSR1).unwrap();
            poll(&base);
            assert_eq!(calls.get(), 1);
        });
    });
}

#[test]
fn signal_gets_its_former_effect_back() {
    let _turn = signals_turn();
    type End = fn(&Event, &EventBase);
    let ends: [End; 3] = [
        |event, _| event.del_signal().unwrap(),
        |event, _| event.free(),
        |_, base| base.free().unwrap(),
    ];
    for end in ends {
        let before = disposition(Signal::SIGWINCH);
        let base = EventBase::new().unwrap();
        let (event, _) = counted(&base, libc::SIGWINCH);
        let (second, _) = counted(&base, libc::SIGWINCH);
        event.add_signal(None).unwrap();
        second.add_signal(None).unwrap();
        drop(second);
        end(&event, &base);
        assert!(matches!(disposition(Signal::SIGWINCH), SigHandler::SigIgn));
        let former = SigAction::new(before, SaFlags::empty(), SigSet::empty());
        set_disposition(Signal::SIGWINCH, &former);
    }
}

#[test]
fn base_freed_with_signal_events_leaves_its_events_not_pending() {
    let _turn = signals_turn();
    let (base, drops) = (EventBase::new().unwrap(), Drops::default());
    let token = drops.token();
    let event = Event::signal(&base, libc::SIGUSR1, move |_, _| token.hold()).unwrap();
    event.add_signal(None).unwrap();
    event.clone().detach();
    base.free().unwrap();
    assert!(!event.is_pending());
    assert!(matches!(event.add(None), Err(Error::Freed { .. })));
    drop(event);
    assert_eq!(drops.count(), 1);
}

#[test]
fn signal_event_is_neither_activated_nor_given_another_role() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    let (event, calls) = counted(&base, libc::SIGUSR1);
    let error = event.active(Event::READ).unwrap_err().to_string();
    assert!(error.contains("process::kill"), "{error}");
    let error = event.set_timer(&base, |_| {}).unwrap_err().to_string();
    assert!(error.contains("make a new event"), "{error}");
    event.add(None).unwrap();
    raise(Signal::SIGUSR1).unwrap();
    poll(&base);
    assert_eq!(calls.get(), 1);
}

#[test]
fn moved_to_another_base_in_its_own_callback_with_calls_owed_runs_there() {
    let _turn = signals_turn();
    let (first, second) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let (drops, calls) = (Drops::default(), Rc::new(Cell::new(0)));
    let (token, count, to) = (
        drops.token(),
        calls.clone(),
        RefCell::new(Some(second.clone())),
    );
    let event = Event::signal(&first, libc::SIGUSR1, move |_, event| {
        token.hold();
        count.set(count.get() + 1);
        event.del().unwrap();
        if let Some(to) = to.take() {
            to.set(event).unwrap();
            event.add(None).unwrap();
            raise(Signal::SIGUSR1).unwrap();
        }
    })
    .unwrap();
    event.add(None).unwrap();
    for _ in 0..3 {
        raise(Signal::SIGUSR1).unwrap();
    }
    assert_eq!(run(&first), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    drop(first);
    assert_eq!(run(&second), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 2);
    over_the_loops_frames(|| event.del().unwrap());
    drop(event);
    assert_eq!(drops.count(), 1);
}

/// 20,000 took half a minute when each end looked at all the others: sixteen times as long as
/// 5,000.
#[test]
fn many_signal_events_end_in_linear_time() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    let time = |number| {
        let add = |_| {
            let (event, _calls) = counted(&base, libc::SIGUSR1);
            event.add_signal(None).unwrap();
            event
        };
        let events: Vec<_> = (0..number).map(add).collect();
        let start = Instant::now();
        drop(events);
        start.elapsed()
    };
    let (few, many) = (time(5_000), time(20_000));
    assert!(
        many < 8 * few + Duration::from_millis(100),
        "{few:?}, {many:?}"
    );
    let (event, _calls) = counted(&EventBase::new().unwrap(), libc::SIGUSR1);
    event.add_signal(None).unwrap(); // the signals are anyone's again
}
