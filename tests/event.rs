//! `Event`: descriptors, timers and signals; pending states, times, data and JSON.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};
use php_event::stream::{StreamContext, stream_socket_server};
use php_event::{Error, Event, EventBase, EventConfig, EventFlags, LoopEnd, MAX_TIMEOUT, Result};
use serde_json::{json, to_string};
use test_support::{
    Drops, NEVER, NOW, Seen, alone, base_with, ms, new_base, noting, poll, precise_base, run,
    run_as,
};

/// Signals belong to the whole process: one test at a time has them.
fn signals() -> MutexGuard<'static, ()> {
    static SIGNALS: Mutex<()> = Mutex::new(());
    SIGNALS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

/// An event that notes each `what` it is called with. It is not added.
fn watch(
    base: &EventBase,
    source: impl std::os::fd::AsFd + 'static,
    what: EventFlags,
    seen: &Seen<EventFlags>,
) -> Event {
    let seen = seen.clone();
    Event::new(base, source, what, move |_, what, _| seen.note(what)).unwrap()
}

fn silent_timer(base: &EventBase) -> Event {
    Event::timer(base, |_event| {}).unwrap()
}

fn silent_signal(base: &EventBase, signal: Signal) -> Event {
    Event::signal(base, signal as i32, |_signum, _event| {}).unwrap()
}

fn at_end(mut peer: &UnixStream) -> bool {
    peer.set_nonblocking(true).unwrap();
    matches!(peer.read(&mut [0]), Ok(0))
}

#[test]
fn the_constants_have_the_numbers_of_php() {
    let flags = [
        Event::TIMEOUT,
        Event::READ,
        Event::WRITE,
        Event::SIGNAL,
        Event::PERSIST,
        Event::ET,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8, 16, 32]);
}

#[test]
fn the_supported_methods_are_those_of_the_system() {
    assert_eq!(Event::get_supported_methods(), ["epoll", "poll", "select"]);
    let both = [(), ()].map(|()| thread::spawn(Event::get_supported_methods));
    let both = both.map(|thread| thread.join().unwrap());
    assert_eq!(both[0], both[1]);
}

#[test]
fn flags_that_do_not_go_with_a_source_are_refused() {
    let base = new_base();
    let event = silent_timer(&base);
    for (what, word) in [
        (Event::TIMEOUT, "TIMEOUT"),
        (Event::READ | Event::TIMEOUT, "TIMEOUT"),
        (Event::SIGNAL, "SIGNAL"),
        (Event::SIGNAL | Event::READ, "SIGNAL"),
        (EventFlags::from_bits_retain(64), "0x40"),
        (Event::READ | EventFlags::from_bits_retain(0x100), "0x102"),
    ] {
        let made = Event::new(&base, pair().0, what, |_, _, _| {}).map(drop);
        let set = event.set(&base, pair().0, what, |_, _, _| {});
        for (result, call) in [(made, "Event::__construct"), (set, "Event::set")] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error:?}");
            assert!(
                error.to_string().starts_with(&format!("{call}: ")),
                "{error}"
            );
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}

#[test]
fn signal_numbers_that_cannot_be_caught_are_refused_by_name() {
    let base = new_base();
    for (signum, word) in [
        (i32::MIN, "signal -2147483648"),
        (-1, "signal -1"),
        (0, "signal 0"),
        (9, "signal 9 (SIGKILL)"),
        (19, "signal 19 (SIGSTOP)"),
        (32, "signal 32"),
        (33, "signal 33"),
        (65, "signal 65"),
    ] {
        let error = Event::signal(&base, signum, |_, _| {}).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(error.to_string().starts_with("Event::signal: "), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
    for signum in [1, 31, 34, 64] {
        assert!(Event::signal(&base, signum, |_, _| {}).is_ok());
    }
}

#[test]
fn a_raw_descriptor_is_passed_to_the_callback() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, _theirs) = pair();
    let note = seen.clone();
    let callback =
        move |fd: RawFd, what: EventFlags, event: &Event| note.note((fd, what, event.clone()));
    #[allow(unsafe_code)]
    // SAFETY: `ours` is open until the end of this function, the event is freed before.
    let event = unsafe { Event::new_raw(&base, ours.as_raw_fd(), Event::WRITE, callback) }.unwrap();
    event.add(None).unwrap();
    run(&base);
    assert_eq!(
        seen.take(),
        [(ours.as_raw_fd(), Event::WRITE, event.clone())]
    );
    event.free();
}

#[test]
fn a_negative_number_is_refused() {
    #[allow(unsafe_code)]
    // SAFETY: no event is made.
    let event = unsafe { Event::new_raw(&new_base(), -1, Event::READ, |_, _, _| {}) };
    let error = event.unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(
        error.to_string().starts_with("Event::__construct: -1 "),
        "{error}"
    );
}

#[test]
fn a_callback_gets_its_own_source_and_its_own_event() {
    let (base, seen) = (new_base(), Seen::new());
    let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default()).unwrap();
    let id = server.id();
    let note = seen.clone();
    let timed_out = Event::new(&base, server, Event::READ, move |server, what, event| {
        note.note((server.id(), what, event.clone()));
    })
    .unwrap();
    timed_out.add(ms(1)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    // Also when it fires on its timeout.
    assert_eq!(seen.take(), [(id, Event::TIMEOUT, timed_out)]);
}

#[test]
fn a_source_lives_as_long_as_its_event() {
    let base = new_base();
    type End = fn(Event, &EventBase);
    let ends: [(&str, End); 4] = [
        ("dropped", |event, _| drop(event)),
        ("freed", |event, _| event.free()),
        ("set to another source", |event, base| {
            event
                .set(base, pair().0, Event::READ, |_, _, _| {})
                .unwrap();
        }),
        ("made a timer", |event, base| {
            event.set_timer(base, |_| {}).unwrap()
        }),
    ];
    for (what, end) in ends {
        let (ours, theirs) = pair();
        let event = Event::new(&base, ours, Event::READ, |_, _, _| {}).unwrap();
        event.add(None).unwrap();
        assert!(!at_end(&theirs), "{what}");
        event.del().unwrap();
        let keep = event.clone();
        assert!(!at_end(&theirs), "{what}");
        end(event, &base);
        assert_eq!(at_end(&theirs), what != "dropped", "{what}");
        drop(keep);
        assert!(at_end(&theirs), "{what}");
    }
}

#[test]
fn a_freed_event_answers_every_call_with_an_error_and_holds_nothing() {
    type Act = fn(&Event) -> Result<()>;
    let cases: [(&str, Act); 12] = [
        ("Event::add", |event| event.add(None)),
        ("Event::addTimer", |event| event.add_timer(NOW)),
        ("Event::addSignal", |event| event.add_signal(None)),
        ("Event::del", Event::del),
        ("Event::delTimer", Event::del_timer),
        ("Event::delSignal", Event::del_signal),
        ("Event::removeTimer", Event::remove_timer),
        ("Event::setPriority", |event| event.set_priority(0)),
        ("Event::active", |event| event.active(Event::READ)),
        ("Event::set", |event| {
            event.set(&new_base(), pair().0, Event::READ, |_, _, _| {})
        }),
        ("Event::setTimer", |event| {
            event.set_timer(&new_base(), |_| {})
        }),
        ("EventBase::set", |event| new_base().set(event)),
    ];
    let base = new_base();
    let held = Rc::new(());
    let captured = Rc::clone(&held);
    let event = Event::timer(&base, move |_event| drop(Rc::clone(&captured))).unwrap();
    event.set_data("data");
    event.add(NOW).unwrap();
    event.free();
    event.free();
    assert_eq!(Rc::strong_count(&held), 1);
    for (call, act) in cases {
        let error = act(&event).expect_err(call);
        assert!(
            matches!(
                error,
                Error::Freed {
                    object: "event",
                    ..
                }
            ),
            "{call}: {error:?}"
        );
        assert_eq!(
            error.to_string(),
            format!("{call}: the event was already freed")
        );
    }
    event.set_data("more");
    assert_eq!(event.data::<&str>(), None);
    assert!(!event.is_pending() && !event.pending(EventFlags::all()));
    assert_eq!(
        to_string(&event).unwrap(),
        r#"{"pending":null,"data":null}"#
    );
    event.clone().detach();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn an_event_freed_or_deleted_by_another_of_the_same_pass_does_not_run() {
    for end in [Event::free, |event: &Event| event.del().unwrap()] {
        let (base, seen) = (new_base(), Seen::new());
        let events: Rc<Cell<Vec<Event>>> = Rc::default();
        let made = [1, 2, 3].map(|n| {
            let (note, others) = (seen.clone(), Rc::clone(&events));
            let event = Event::timer(&base, move |event| {
                note.note(n);
                others
                    .take()
                    .iter()
                    .filter(|&other| other != event)
                    .for_each(end);
            });
            event.unwrap()
        });
        made.iter()
            .for_each(|event| event.active(Event::TIMEOUT).unwrap());
        events.set(made.to_vec());
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [1]);
    }
}

#[test]
fn deleting_an_event_that_is_not_pending_succeeds() {
    let event = silent_timer(&new_base());
    for _ in 0..2 {
        event.del().unwrap();
        event.del_timer().unwrap();
        event.del_signal().unwrap();
        event.remove_timer().unwrap();
    }
}

#[test]
fn a_detached_event_lives_until_it_has_fired() {
    let (base, seen) = (new_base(), Seen::new());
    let held = Rc::new(());
    let (captured, note) = (Rc::clone(&held), seen.clone());
    let mut left = 2;
    let event = Event::timer(&base, move |event| {
        note.note(Rc::strong_count(&captured));
        left -= 1;
        if left > 0 {
            event.add(ms(1)).unwrap();
        }
    })
    .unwrap();
    event.add(NOW).unwrap();
    event.detach();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [2, 2]);
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn a_detached_event_is_freed_when_nothing_can_fire_it() {
    type End = fn(&mut Option<EventBase>, Event);
    let ends: [(&str, Option<Duration>, End); 6] = [
        ("not pending", None, |_base, event| event.detach()),
        ("deleted", Some(NEVER), |_base, event| {
            event.clone().detach();
            event.del().unwrap();
        }),
        ("without its time", Some(NEVER), |_base, event| {
            event.clone().detach();
            event.remove_timer().unwrap();
        }),
        ("freed", Some(NEVER), |_base, event| {
            event.clone().detach();
            event.free();
        }),
        ("without its base", Some(NEVER), |base, event| {
            event.detach();
            *base = None;
        }),
        ("after its base", Some(NEVER), |base, event| {
            *base = None;
            event.detach();
        }),
    ];
    for (what, timeout, end) in ends {
        let base = new_base();
        let held = Rc::new(());
        let captured = Rc::clone(&held);
        let event = Event::timer(&base, move |_event| drop(Rc::clone(&captured))).unwrap();
        event.add(timeout).unwrap();
        let mut base = Some(base);
        end(&mut base, event);
        assert_eq!(Rc::strong_count(&held), 1, "{what}");
    }
}

#[test]
fn data_is_returned_only_as_its_own_type() {
    let (base, seen) = (new_base(), Seen::new());
    let note = seen.clone();
    let event = Event::timer(&base, move |event| note.note(event.data::<String>())).unwrap();
    assert_eq!(event.data::<String>(), None);
    event.set_data(5);
    assert_eq!(event.data::<i32>().as_deref(), Some(&5));
    assert_eq!(event.data::<u32>(), None);
    event.set_data("text".to_owned());
    assert_eq!(event.data::<i32>(), None);
    assert_eq!(
        event.clone().data::<String>(),
        Some(Rc::new("text".to_owned()))
    );
    event.add(NOW).unwrap();
    run(&base);
    assert_eq!(seen.take(), [Some(Rc::new("text".to_owned()))]);
}

#[test]
fn data_is_dropped_when_replaced_freed_or_given_to_a_freed_event() {
    struct Held(#[expect(dead_code)] Rc<()>);
    impl serde::Serialize for Held {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_unit()
        }
    }
    let event = silent_timer(&new_base());
    let held = Rc::new(());
    event.set_data(Held(Rc::clone(&held)));
    assert_eq!(Rc::strong_count(&held), 2);
    event.set_data(Held(Rc::clone(&held)));
    assert_eq!(Rc::strong_count(&held), 2);
    event.free();
    assert_eq!(Rc::strong_count(&held), 1);
    event.set_data(Held(Rc::clone(&held)));
    assert_eq!(Rc::strong_count(&held), 1);
}

#[test]
fn an_added_event_is_pending_for_its_flags_and_a_deleted_one_for_none() {
    let _signals = signals();
    let base = new_base();
    let none = EventFlags::empty();
    let on = |what| watch(&base, pair().0, what, &Seen::new());
    let cases = [
        (on(Event::READ), None, Event::READ),
        (on(Event::WRITE | Event::PERSIST), None, Event::WRITE),
        (
            on(Event::READ | Event::ET),
            ms(1),
            Event::READ | Event::TIMEOUT,
        ),
        (
            on(Event::READ | Event::WRITE),
            None,
            Event::READ | Event::WRITE,
        ),
        (on(none), Some(NEVER), Event::TIMEOUT),
        (on(none), None, none),
        (silent_timer(&base), Some(NEVER), Event::TIMEOUT),
        (silent_timer(&base), Some(Duration::MAX), Event::TIMEOUT),
        (silent_timer(&base), None, none),
        (silent_signal(&base, Signal::SIGUSR1), None, Event::SIGNAL),
        (
            silent_signal(&base, Signal::SIGUSR1),
            Some(NEVER),
            Event::SIGNAL | Event::TIMEOUT,
        ),
    ];
    let check = |event: &Event, expected: EventFlags| {
        for flag in EventFlags::all().iter() {
            assert_eq!(
                event.pending(flag),
                expected.contains(flag),
                "{event:?}: {flag:?}"
            );
        }
        assert!(
            !event.pending(none) && !event.pending(Event::PERSIST | Event::ET),
            "{event:?}"
        );
        for any in [EventFlags::all(), EventFlags::from_bits_retain(-1)] {
            assert_eq!(event.pending(any), !expected.is_empty(), "{event:?}");
        }
        assert_eq!(event.is_pending(), !expected.is_empty(), "{event:?}");
    };
    for (event, timeout, expected) in &cases {
        check(event, none);
        event.add(*timeout).unwrap();
        check(event, *expected);
        event.del().unwrap();
        check(event, none);
    }
    assert!(format!("{:?}", cases[0].0).contains("pending: false"));
}

#[test]
fn in_its_own_callback_only_a_persistent_event_is_pending() {
    for (persist, pending) in [(EventFlags::empty(), false), (Event::PERSIST, true)] {
        let (base, seen) = (new_base(), Seen::new());
        let (ours, _theirs) = pair();
        let note = seen.clone();
        let event = Event::new(&base, ours, Event::WRITE | persist, move |_, _, event| {
            note.note((event.is_pending(), to_string(event).unwrap()));
        })
        .unwrap();
        event.add(None).unwrap();
        poll(&base);
        let json = format!(r#"{{"pending":{pending},"data":null}}"#);
        assert_eq!(seen.take(), [(pending, json)]);
        assert_eq!(event.is_pending(), pending);
    }
}

#[test]
fn an_event_that_is_active_and_has_not_run_is_pending() {
    let (base, seen) = (new_base(), Seen::new());
    let event = watch(&base, pair().0, Event::READ, &seen);
    event.active(Event::READ).unwrap();
    assert!(event.pending(Event::READ) && event.is_pending());
    assert!(!event.pending(Event::WRITE | Event::TIMEOUT));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::READ]);
    assert!(!event.is_pending());
}

#[test]
fn an_activated_event_is_called_once_with_the_given_flags() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, _theirs) = pair();
    let event = watch(&base, ours, Event::READ | Event::PERSIST, &seen);
    event.add(None).unwrap();
    for what in [
        Event::READ,
        Event::WRITE,
        Event::TIMEOUT,
        Event::READ | Event::WRITE,
    ] {
        event.active(what).unwrap();
        assert_eq!(run_as(&base, EventBase::LOOP_NONBLOCK), LoopEnd::Passed);
        assert_eq!(seen.take(), [what]);
        assert!(event.is_pending());
    }
}

#[test]
fn activation_with_other_flags_is_refused() {
    let base = new_base();
    let (timer, signal) = (silent_timer(&base), silent_signal(&base, Signal::SIGUSR1));
    for (event, what, word) in [
        (
            &timer,
            EventFlags::empty(),
            "READ, WRITE, CLOSED and TIMEOUT",
        ),
        (&timer, Event::PERSIST, "PERSIST"),
        (&timer, Event::READ | Event::ET, "ET"),
        (&timer, Event::SIGNAL, "SIGNAL"),
        (&signal, Event::SIGNAL, "SIGNAL"),
        (&signal, Event::READ, "process::kill"),
    ] {
        let error = event.active(what).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(error.to_string().starts_with("Event::active: "), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!event.is_pending());
    }
}

#[test]
fn a_source_that_is_readable_and_writable_is_one_call() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let event = watch(&base, ours, Event::READ | Event::WRITE, &seen);
    event.add(None).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::READ | Event::WRITE]);
}

#[test]
fn an_edge_triggered_event_is_called_once_for_each_arrival_with_et() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, mut theirs) = pair();
    let event = watch(&base, ours, Event::READ | Event::ET | Event::PERSIST, &seen);
    event.add(None).unwrap();
    for expected in [[Event::READ | Event::ET].as_slice(), &[]].repeat(2) {
        if !expected.is_empty() {
            theirs.write_all(b"never read").unwrap();
        }
        run_as(&base, EventBase::LOOP_NONBLOCK);
        assert_eq!(seen.take(), expected);
    }
}

#[test]
fn closed_reports_that_the_peer_closed_and_leaves_its_bytes_unread() {
    for base in ["epoll", "poll"].map(base_with) {
        let (mut ours, theirs) = pair();
        let what = Event::CLOSED | Event::PERSIST;
        let seen = Seen::new();
        let event = watch(&base, theirs, what, &seen);
        event.add(None).unwrap();
        assert!(event.pending(Event::CLOSED) && !event.pending(Event::READ));
        ours.write_all(b"unread").unwrap();
        assert_eq!(poll(&base), LoopEnd::Passed);
        assert_eq!(seen.take(), []);
        drop(ours);
        assert_eq!(poll(&base), LoopEnd::Passed);
        assert_eq!(seen.take(), [Event::CLOSED]);
        event.del().unwrap();
        event.active(Event::CLOSED).unwrap();
        poll(&base);
        assert_eq!(seen.take(), [Event::CLOSED]);
    }
}

#[test]
fn closed_is_refused_where_the_backend_does_not_report_it() {
    let (base, other) = (base_with("select"), new_base());
    let refused = |result: Result<()>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error}");
        assert!(error.to_string().contains("select does not"), "{error}");
    };
    let ignore = |_: &UnixStream, _: EventFlags, _: &Event| {};
    refused(Event::new(&base, pair().0, Event::CLOSED, ignore).map(drop));
    let event = Event::new(&other, pair().0, Event::CLOSED, ignore).unwrap();
    refused(base.set(&event));
    refused(event.set(&base, pair().0, Event::CLOSED | Event::READ, ignore));
}

#[test]
fn at_the_end_of_the_stream_a_reading_event_keeps_firing() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, theirs) = pair();
    let note = seen.clone();
    let event = Event::new(
        &base,
        ours,
        Event::READ | Event::PERSIST,
        move |mut ours, _, event| {
            note.note(ours.read(&mut [0; 8]).unwrap());
            if note.len() == 3 {
                event.del().unwrap();
            }
        },
    )
    .unwrap();
    event.add(None).unwrap();
    drop(theirs);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [0; 3]);
}

#[test]
fn several_events_on_one_descriptor_all_fire() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, mut theirs) = pair();
    let ours = Rc::new(ours);
    let events = [
        Event::READ,
        Event::READ,
        Event::WRITE,
        Event::READ | Event::WRITE,
    ]
    .map(|what| watch(&base, Rc::clone(&ours), what, &seen));
    events.iter().for_each(|event| event.add(None).unwrap());
    theirs.write_all(b"x").unwrap();
    poll(&base);
    let mut whats = seen.take();
    whats.sort_unstable_by_key(|what| what.bits());
    assert_eq!(
        whats,
        [
            Event::READ,
            Event::READ,
            Event::WRITE,
            Event::READ | Event::WRITE
        ]
    );
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn an_event_added_twice_is_registered_once() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, _theirs) = pair();
    let event = watch(&base, ours, Event::WRITE | Event::PERSIST, &seen);
    event.add(None).unwrap();
    event.add(None).unwrap();
    poll(&base);
    assert_eq!(seen.take(), [Event::WRITE]);
    event.del().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), []);
}

#[test]
fn a_one_shot_event_repeats_when_added_in_its_callback() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, _theirs) = pair();
    let note = seen.clone();
    let event = Event::new(&base, ours, Event::WRITE, move |_, _, event| {
        note.note("called");
        if note.len() < 3 {
            event.add(None).unwrap();
        }
    })
    .unwrap();
    event.add(None).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["called"; 3]);
}

#[test]
fn files_that_epoll_cannot_watch_are_refused_and_poll_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "text").unwrap();
    let (epoll, config) = (new_base(), EventConfig::new().unwrap());
    config.require_features(EventConfig::FEATURE_FDS).unwrap();
    let poll = EventBase::with_config(&config).unwrap();
    for (path, word) in [
        (path.as_path(), "regular file"),
        (folder.path(), "directory"),
    ] {
        let seen = Seen::new();
        let event = |base| watch(base, File::open(path).unwrap(), Event::READ, &seen);
        let refused = event(&epoll);
        let error = refused.add(None).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(error.to_string().starts_with("Event::add: "), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!refused.is_pending());
        assert_eq!(run(&epoll), LoopEnd::NoEvents);

        let taken = event(&poll);
        taken.add(None).unwrap();
        assert_eq!(run(&poll), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [Event::READ]);
    }
}

#[test]
fn a_device_that_epoll_cannot_watch_is_refused_with_libevents_cause_and_nothing_on_stderr() {
    alone(&[], || {
        let event = watch(
            &new_base(),
            File::open("/dev/null").unwrap(),
            Event::READ,
            &Seen::new(),
        );
        let error = event.add(None).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Call {
                    call: "Event::add",
                    ..
                }
            ),
            "{error:?}"
        );
        let cause = error.error_info().expect("libevent says why");
        assert!(cause.contains("Operation not permitted"), "{cause}");
        assert_eq!(error.to_string(), format!("Event::add failed: {cause}"));
        assert_eq!(error.kind(), ErrorKind::Other);
    });
}

/// When the callback came, after `start`, and why.
fn timed(
    base: &EventBase,
    what: EventFlags,
    times: Seen<(Duration, EventFlags)>,
    mut and: impl FnMut(usize, &Event) + 'static,
) -> (Event, UnixStream) {
    let (ours, theirs) = pair();
    ours.set_nonblocking(true).unwrap();
    let start = Instant::now();
    let event = Event::new(base, ours, what, move |mut ours, what, event| {
        times.note((start.elapsed(), what));
        while ours.read(&mut [0; 16]).is_ok_and(|n| n > 0) {}
        and(times.len(), event);
    });
    (event.unwrap(), theirs)
}

fn assert_not_before(times: Vec<(Duration, EventFlags)>, expected: &[(u64, EventFlags)]) {
    let whats = times.iter().map(|&(_, what)| what).collect::<Vec<_>>();
    let expected_whats = expected.iter().map(|&(_, what)| what).collect::<Vec<_>>();
    assert_eq!(whats, expected_whats);
    for ((time, _), (at_least, _)) in times.iter().zip(expected) {
        assert!(*time >= Duration::from_millis(*at_least), "{times:?}");
    }
}

#[test]
fn a_timer_fires_once_when_its_time_has_passed() {
    let (base, seen) = (precise_base(), Seen::new());
    let start = Instant::now();
    let timer = noting(&base, &seen, "fired");
    timer.add_timer(ms(20)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(seen.take(), ["fired"]);
    assert!(!timer.is_pending());
}

#[test]
fn a_timer_added_without_a_time_never_fires() {
    let (base, seen) = (new_base(), Seen::new());
    let timer = noting(&base, &seen, "fired");
    timer.add(None).unwrap();
    assert!(!timer.is_pending());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.len(), 0);
}

#[test]
fn a_time_below_a_microsecond_is_due_in_the_next_pass() {
    let (base, seen) = (new_base(), Seen::new());
    for time in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_nanos(999),
    ] {
        let timer = noting(&base, &seen, "timer");
        timer.add(Some(time)).unwrap();
        poll(&base);
        assert_eq!(seen.take(), ["timer"], "{time:?}");
        let (ours, _theirs) = pair();
        let note = seen.clone();
        let read = Event::new(&base, ours, Event::READ, move |_, what, _| {
            assert_eq!(what, Event::TIMEOUT);
            note.note("read");
        });
        read.as_ref().unwrap().add(Some(time)).unwrap();
        poll(&base);
        assert_eq!(seen.take(), ["read"], "{time:?}");
    }
}

#[test]
fn a_time_above_the_maximum_waits_and_does_not_wrap() {
    for time in [
        MAX_TIMEOUT,
        MAX_TIMEOUT + Duration::from_secs(1),
        Duration::MAX,
    ] {
        let (base, seen) = (new_base(), Seen::new());
        let timer = noting(&base, &seen, "fired");
        timer.add(Some(time)).unwrap();
        base.exit(Some(time)).unwrap();
        assert_eq!(poll(&base), LoopEnd::Passed);
        assert!(timer.is_pending());
        assert_eq!(seen.len(), 0);
    }
}

#[test]
fn a_time_added_to_a_pending_event_replaces_the_former_and_none_keeps_it() {
    for (first, second, at_least) in [
        (ms(3_600_000), ms(20), 20), // sooner
        (ms(1), ms(40), 40),         // later
        (ms(20), None, 20),
    ] {
        let (base, seen) = (precise_base(), Seen::new());
        let start = Instant::now();
        let timer = noting(&base, &seen, "fired");
        timer.add(first).unwrap();
        timer.add(second).unwrap();
        assert!(timer.pending(Event::TIMEOUT));
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(start.elapsed() >= Duration::from_millis(at_least));
        assert_eq!(seen.take(), ["fired"]);
    }
}

#[test]
fn a_descriptor_event_without_read_or_write_fires_on_its_timeout_only() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, mut theirs) = pair();
    theirs.write_all(b"x").unwrap();
    let event = watch(&base, ours, EventFlags::empty(), &seen);
    event.add(ms(1)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::TIMEOUT]);
}

#[test]
fn the_timeout_of_a_persistent_event_restarts_after_a_read() {
    let (base, times) = (precise_base(), Seen::new());
    let (event, mut theirs) = timed(
        &base,
        Event::READ | Event::PERSIST,
        times.clone(),
        |n, event| {
            if n == 3 {
                event.del().unwrap();
            }
        },
    );
    event.add(ms(60)).unwrap();
    let writer = Event::timer(&base, move |_event| theirs.write_all(b"x").unwrap()).unwrap();
    writer.add(ms(30)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    // Counted from the call by reading: 30 + 60, not 60; then 60 more.
    assert_not_before(
        times.take(),
        &[
            (30, Event::READ),
            (90, Event::TIMEOUT),
            (150, Event::TIMEOUT),
        ],
    );
}

#[test]
fn a_time_added_in_the_callback_of_a_persistent_event_becomes_its_interval() {
    let (base, times) = (precise_base(), Seen::new());
    let (event, _theirs) = timed(
        &base,
        Event::READ | Event::PERSIST,
        times.clone(),
        |n, event| {
            let done = match n {
                1 => event.add(ms(30)),
                2 => event.add(None), // keeps it
                3 => Ok(()),
                _ => event.del(),
            };
            done.unwrap();
        },
    );
    event.add(ms(5)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    let expected = [5, 35, 65, 95].map(|at_least| (at_least, Event::TIMEOUT));
    assert_not_before(times.take(), &expected);
}

#[test]
fn remove_timer_keeps_a_descriptor_event_and_ends_a_timer() {
    let (base, seen) = (new_base(), Seen::new());
    let (ours, mut theirs) = pair();
    let read = watch(&base, ours, Event::READ, &seen);
    read.add(ms(1)).unwrap();
    read.remove_timer().unwrap();
    assert!(read.pending(Event::READ) && !read.pending(Event::TIMEOUT));
    let timer = silent_timer(&base);
    timer.add(ms(1)).unwrap();
    timer.remove_timer().unwrap();
    assert!(!timer.is_pending());
    thread::sleep(Duration::from_millis(20)); // both times would have come
    poll(&base);
    assert_eq!(seen.take(), []);
    theirs.write_all(b"x").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [Event::READ]);
}

#[test]
fn priorities_that_the_base_lacks_are_refused() {
    let base = new_base();
    let event = silent_timer(&base);
    for (n, possible, impossible) in [
        (1, [0, 0].as_slice(), [i32::MIN, -1, 1, i32::MAX].as_slice()),
        (4, &[0, 3], &[-1, 4, 255]),
    ] {
        base.priority_init(n).unwrap();
        for &priority in possible {
            event.set_priority(priority).unwrap();
        }
        for &priority in impossible {
            let error = event.set_priority(priority).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{error:?}");
            let start = format!("Event::setPriority: priority {priority} given");
            assert!(error.to_string().starts_with(&start), "{error}");
        }
    }
    event.add(Some(NEVER)).unwrap();
    event.set_priority(1).unwrap(); // pending does not matter
}

#[test]
fn the_priority_of_an_active_event_is_not_changed() {
    let (base, seen) = (new_base(), Seen::new());
    let event = noting(&base, &seen, "ran");
    event.active(Event::TIMEOUT).unwrap();
    let error = event.set_priority(0).unwrap_err();
    assert!(
        matches!(
            error,
            Error::State {
                call: "Event::setPriority",
                ..
            }
        ),
        "{error:?}"
    );
    run(&base);
    assert_eq!(seen.take(), ["ran"]);
    event.set_priority(0).unwrap();
}

#[test]
fn set_replaces_base_source_and_callback_and_clears_the_data() {
    let (former, base, seen) = (new_base(), new_base(), Seen::new());
    base.priority_init(3).unwrap();
    let event = noting(&former, &seen, "timer");
    event.set_data(1);
    let (ours, _theirs) = pair();
    let note = seen.clone();
    event
        .set(&base, ours, Event::WRITE, move |_, _, _| note.note("write"))
        .unwrap();
    assert_eq!(event.data::<i32>(), None);
    event.add(None).unwrap();
    assert_eq!(run(&former), LoopEnd::NoEvents);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["write"]);

    former.free().unwrap(); // no longer the event's base
    event.set_data(2);
    let note = seen.clone();
    let third = new_base();
    event
        .set_timer(&third, move |_| note.note("again a timer"))
        .unwrap();
    assert_eq!(event.data::<i32>(), None);
    base.free().unwrap();
    event.add(NOW).unwrap();
    assert_eq!(run(&third), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["again a timer"]);
}

#[test]
fn base_is_the_one_that_the_event_belongs_to_at_present() {
    let (one, other) = (EventBase::new().unwrap(), EventBase::new().unwrap());
    let event = silent_timer(&one);
    assert_eq!(event.base(), one);
    other.set(&event).unwrap();
    assert_eq!(event.base(), other);
    drop(other);
    assert_eq!(event.base().dispatch().unwrap(), LoopEnd::NoEvents);
    event.free();
    assert_ne!(event.base(), one);
}

#[test]
fn set_gives_an_event_the_middle_priority() {
    let (base, seen) = (new_base(), Seen::new());
    base.priority_init(3).unwrap();
    let event = silent_timer(&base);
    event.set_priority(0).unwrap();
    let note = seen.clone();
    event
        .set_timer(&base, move |_| note.note("middle"))
        .unwrap();
    let urgent = noting(&base, &seen, "urgent");
    urgent.set_priority(0).unwrap();
    event.add(NOW).unwrap();
    urgent.add(NOW).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["urgent", "middle"]);
}

#[test]
fn set_refuses_a_pending_event_and_a_signal_event() {
    let base = new_base();
    let (ours, _theirs) = pair();
    let read = watch(&base, ours, Event::READ, &Seen::new());
    read.add(None).unwrap();
    let timer = silent_timer(&base);
    timer.add(Some(NEVER)).unwrap();
    let active = silent_timer(&base);
    active.active(Event::TIMEOUT).unwrap();
    let signal = silent_signal(&base, Signal::SIGUSR1);
    for event in [&read, &timer, &active, &signal] {
        let set = event.set(&base, pair().0, Event::READ, |_, _, _| {});
        let set_timer = event.set_timer(&base, |_| {});
        for (result, call) in [(set, "Event::set"), (set_timer, "Event::setTimer")] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error:?}");
            assert_eq!(error.call(), call);
        }
    }
    assert_eq!(poll(&base), LoopEnd::Passed);
}

#[test]
fn a_callback_that_sets_its_event_is_the_last_call_of_the_old_closure() {
    let (base, seen) = (new_base(), Seen::new());
    let (this, note) = (base.clone(), seen.clone());
    let event = Event::timer(&base, move |event| {
        let next = note.clone();
        event
            .set_timer(&this, move |_| next.note("second"))
            .unwrap();
        event.add(NOW).unwrap();
        note.note("first");
    })
    .unwrap();
    event.add(NOW).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["first", "second"]);
}

/// What a signal does to this process.
#[test]
fn a_closure_that_is_replaced_twice_while_it_runs_is_dropped_when_it_has_returned() {
    let (base, drops, seen) = (new_base(), Drops::default(), Seen::new());
    let (this, note, count) = (base.clone(), seen.clone(), drops.clone());
    let (first, mut later) = (drops.token(), Some((drops.token(), drops.token())));
    let event = Event::timer(&base, move |event| {
        let (second, third) = later.take().unwrap();
        event.set_timer(&this, move |_| second.hold()).unwrap();
        assert_eq!(count.count(), 0, "the first still runs");
        let next = note.clone();
        let callback = move |_: &Event| {
            third.hold();
            next.note("third");
        };
        event.set_timer(&this, callback).unwrap();
        assert_eq!(count.count(), 1, "the second never ran");
        event.add(NOW).unwrap();
        first.hold();
    })
    .unwrap();
    event.add(NOW).unwrap();
    run(&base);
    assert_eq!((seen.take(), drops.count()), (vec!["third"], 2));
    event.free();
    assert_eq!(drops.count(), 3);
}

fn disposition(signal: Signal) -> &'static str {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let has = |name| {
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap() >> (signal as i32 - 1) & 1 == 1
    };
    match (has("SigIgn:"), has("SigCgt:")) {
        (true, _) => "ignored",
        (_, true) => "caught",
        _ => "default",
    }
}

#[test]
fn each_raise_of_a_signal_is_one_call_in_the_loop() {
    let _signals = signals();
    let (base, seen) = (new_base(), Seen::new());
    let note = seen.clone();
    let event = Event::signal(&base, libc::SIGUSR1, move |signum, event| {
        note.note((
            signum,
            event.is_pending(),
            event.data::<&str>().map(|data| *data),
        ));
    })
    .unwrap();
    event.set_data("data");
    event.add_signal(None).unwrap();
    for raises in [3, 1] {
        (0..raises).for_each(|_| raise(Signal::SIGUSR1).unwrap());
        assert_eq!(seen.len(), 0); // not before the loop runs
        assert_eq!(run_as(&base, EventBase::LOOP_NONBLOCK), LoopEnd::Passed); // it stays pending
        assert_eq!(
            seen.take(),
            vec![(libc::SIGUSR1, true, Some("data")); raises]
        );
    }
    event.del_signal().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn several_events_on_one_signal_are_all_called() {
    let _signals = signals();
    let (base, seen) = (new_base(), Seen::new());
    let events = [1, 2, 3].map(|n| {
        let note = seen.clone();
        Event::signal(&base, libc::SIGUSR1, move |_, _| note.note(n)).unwrap()
    });
    events.iter().for_each(|event| event.add(None).unwrap());
    raise(Signal::SIGUSR1).unwrap();
    poll(&base);
    let mut called = seen.take();
    called.sort_unstable();
    assert_eq!(called, [1, 2, 3]);

    events[0].del().unwrap(); // the others go on
    raise(Signal::SIGUSR1).unwrap();
    poll(&base);
    assert_eq!(seen.len(), 2);
}

#[test]
// Skipped under Valgrind: it catches every signal itself.
fn the_timeout_of_a_signal_event_calls_it_and_deletes_it() {
    let _signals = signals();
    let (base, seen) = (new_base(), Seen::new());
    let note = seen.clone();
    let event = Event::signal(&base, libc::SIGUSR1, move |signum, _| note.note(signum)).unwrap();
    event.add(ms(1)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [libc::SIGUSR1]);
    assert!(!event.is_pending());
    assert_eq!(disposition(Signal::SIGUSR1), "default");
    let rival = silent_signal(&new_base(), Signal::SIGUSR1);
    rival.add(None).unwrap(); // the signals are anyone's again
}

#[test]
// Skipped under Valgrind: it catches every signal itself.
fn a_signal_has_its_previous_disposition_again_however_its_event_ends() {
    let _signals = signals();
    type End = fn(&mut Option<Event>, &EventBase);
    let ends: [(&str, End); 6] = [
        ("del", |event, _| event.as_ref().unwrap().del().unwrap()),
        ("delSignal", |event, _| {
            event.as_ref().unwrap().del_signal().unwrap()
        }),
        ("free", |event, _| event.as_ref().unwrap().free()),
        ("drop", |event, _| *event = None),
        ("its base freed", |_, base| base.free().unwrap()),
        ("its time", |event, base| {
            event.as_ref().unwrap().add(NOW).unwrap();
            poll(base);
        }),
    ];
    // Rust ignores SIGPIPE from the start.
    for (signal, former) in [(Signal::SIGUSR1, "default"), (Signal::SIGPIPE, "ignored")] {
        for (what, end) in ends {
            let base = new_base();
            assert_eq!(disposition(signal), former);
            let mut event = Some(silent_signal(&base, signal));
            assert_eq!(disposition(signal), former, "not added yet");
            event.as_ref().unwrap().add(None).unwrap();
            assert_eq!(disposition(signal), "caught");
            end(&mut event, &base);
            assert_eq!(disposition(signal), former, "{what}");
        }
    }
}

#[test]
// Skipped under Valgrind: it catches every signal itself.
fn a_second_base_with_signals_is_refused_until_the_first_has_none() {
    let _signals = signals();
    let (first, second) = (new_base(), new_base());
    let held = silent_signal(&first, Signal::SIGUSR1);
    held.add(None).unwrap();
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        let event = silent_signal(&second, signal);
        for (result, call) in [
            (event.add(None), "Event::add"),
            (event.add_signal(None), "Event::addSignal"),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error:?}");
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{call}: another base")),
                "{error}"
            );
        }
        assert!(!event.is_pending());
    }
    held.del().unwrap();
    silent_signal(&second, Signal::SIGUSR2).add(None).unwrap();
    assert_eq!(disposition(Signal::SIGUSR2), "default"); // that one is dropped again
}

#[test]
fn an_added_signal_event_keeps_the_loop_alive() {
    let _signals = signals();
    let base = new_base();
    let event = silent_signal(&base, Signal::SIGUSR1);
    assert_eq!(poll(&base), LoopEnd::NoEvents);
    event.add(None).unwrap();
    assert_eq!(poll(&base), LoopEnd::Passed);
}

#[test]
fn as_json_an_event_has_its_pending_state_and_its_data() {
    let _signals = signals();
    let base = new_base();
    let (timer, added, signal) = (
        silent_timer(&base),
        silent_timer(&base),
        silent_signal(&base, Signal::SIGUSR1),
    );
    assert_eq!(
        to_string(&timer).unwrap(),
        r#"{"pending":false,"data":null}"#
    );
    added.add(Some(NEVER)).unwrap();
    added.set_data("s");
    assert_eq!(to_string(&added).unwrap(), r#"{"pending":true,"data":"s"}"#);
    signal.add(None).unwrap();
    signal.set_data(1.5);
    assert_eq!(
        to_string(&signal).unwrap(),
        r#"{"pending":true,"data":1.5}"#
    );

    type Put = fn(&Event, &EventBase, &Event);
    let cases: [(Put, &str); 8] = [
        (|event, _, _| event.set_data(()), "null"),
        (|event, _, _| event.set_data([1, 2]), "[1,2]"),
        (
            |event, _, _| event.set_data(BTreeMap::from([("a", 1)])),
            r#"{"a":1}"#,
        ),
        (
            |event, _, _| event.set_data(BTreeMap::from([(5, 2)])),
            r#"{"5":2}"#,
        ),
        (|event, _, _| event.set_data(Vec::<i32>::new()), "[]"),
        (
            |event, _, _| event.set_data(json!({"a": [null, true]})),
            r#"{"a":[null,true]}"#,
        ),
        (|event, base, _| event.set_data(base.clone()), "{}"),
        (
            |event, _, other| event.set_data(other.clone()),
            r#"{"pending":true,"data":"s"}"#,
        ),
    ];
    for (put, data) in cases {
        put(&timer, &base, &added);
        assert_eq!(
            to_string(&timer).unwrap(),
            format!(r#"{{"pending":false,"data":{data}}}"#)
        );
    }
}

#[test]
fn as_json_several_events_are_a_list_or_an_object() {
    let base = new_base();
    let (listener, client) = (silent_timer(&base), silent_timer(&base));
    for event in [&listener, &client] {
        event.add(Some(NEVER)).unwrap();
    }
    listener.set_data(base.clone());
    assert_eq!(to_string(&[&listener][..0]).unwrap(), "[]");
    assert_eq!(
        to_string(&[&client]).unwrap(),
        r#"[{"pending":true,"data":null}]"#
    );
    // What the tutorial's server answers its first client.
    let body = to_string(&BTreeMap::from([(5, &listener), (6, &client)])).unwrap();
    assert_eq!(
        body,
        r#"{"5":{"pending":true,"data":{}},"6":{"pending":true,"data":null}}"#
    );
    assert_eq!(body.len(), 65);
}

#[test]
fn as_json_a_freed_event_is_null_also_after_it_was_seen_alive() {
    let base = new_base();
    let event = silent_timer(&base);
    event.set_data(1);
    event.add(Some(NEVER)).unwrap();
    assert_eq!(to_string(&event).unwrap(), r#"{"pending":true,"data":1}"#);
    event.free();
    assert_eq!(
        to_string(&event).unwrap(),
        r#"{"pending":null,"data":null}"#
    );
}

#[test]
fn as_json_an_event_within_its_own_data_is_an_error() {
    let base = new_base();
    let (event, other) = (silent_timer(&base), silent_timer(&base));
    event.set_data(event.clone());
    assert!(
        to_string(&event)
            .unwrap_err()
            .to_string()
            .contains("contains the event itself")
    );
    event.set_data(vec![other.clone()]);
    other.set_data(event.clone());
    assert!(to_string(&event).is_err());
    assert!(to_string(&other).is_err());
    assert!(to_string(&[&event, &other]).is_err());
    other.set_data(1);
    let json = r#"{"pending":false,"data":[{"pending":false,"data":1}]}"#;
    assert_eq!(to_string(&event).unwrap(), json);
}

#[test]
fn as_json_data_that_cannot_be_serialized_fails_the_event() {
    struct Resource;
    impl serde::Serialize for Resource {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("a resource"))
        }
    }
    let event = silent_timer(&new_base());
    event.set_data(Resource);
    assert_eq!(to_string(&event).unwrap_err().to_string(), "a resource");
    event.set_data(1);
    assert_eq!(to_string(&event).unwrap(), r#"{"pending":false,"data":1}"#);
}
