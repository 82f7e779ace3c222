//! What is added or enabled again inside its own callback: with another time, with the same,
//! with none, and with another priority.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};
use php_event::{
    BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, EventFlags, EventListener,
    ListenerFlags, LoopEnd,
};
use test_support::{LIMIT, NEVER, Seen, limited, ms, pair, poll, run, signals_turn};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_millis(120);

/// What a callback does with its event at each call, and what comes next.
struct Step {
    priority: i32,
    time: Option<Duration>,
    /// The least time until the next call; `None` if there is no other.
    next: Option<Duration>,
}

const fn step(priority: i32, time: Option<Duration>, next: Option<Duration>) -> Step {
    Step {
        priority,
        time,
        next,
    }
}

/// Adds an event again inside its own callback as the steps say, and checks when it is called.
fn follow(base: &EventBase, steps: Vec<Step>, make: impl FnOnce(Box<dyn FnMut(&Event)>) -> Event) {
    base.priority_init(3).unwrap();
    let calls: Rc<RefCell<Vec<Instant>>> = Rc::default();
    let (noted, count) = (calls.clone(), steps.len());
    let waits: Vec<Option<Duration>> = steps.iter().map(|step| step.next).collect();
    let mut left = steps.into_iter();
    let event = make(Box::new(move |event| {
        noted.borrow_mut().push(Instant::now());
        match left.next() {
            Some(step) => {
                event.set_priority(step.priority).unwrap();
                event.add(step.time).unwrap();
                if step.next.is_none() {
                    event.del().unwrap();
                }
            }
            None => panic!("called once too often"),
        }
    }));
    event.add(Some(SHORT)).unwrap();
    assert_eq!(run(base), LoopEnd::NoEvents);
    let calls = calls.take();
    assert_eq!(calls.len(), count);
    for (index, pair) in calls.windows(2).enumerate() {
        let (waited, least) = (pair[1] - pair[0], waits[index].unwrap());
        // libevent counts from the beginning of the turn, by a coarse clock.
        assert!(
            waited >= least.mul_f32(0.8) && waited < least + LIMIT / 2,
            "step {index}: {waited:?} instead of {least:?}"
        );
    }
}

/// Another time, the same, none for what is not pending, and a time of zero; each with another
/// priority than before.
fn one_shot() -> Vec<Step> {
    vec![
        step(2, Some(LONG), Some(LONG)),
        step(0, Some(LONG), Some(LONG)),
        step(1, Some(SHORT), Some(SHORT)),
        step(0, Some(Duration::ZERO), Some(Duration::ZERO)),
        step(2, Some(SHORT), None),
    ]
}

/// The time of a persistent event starts again with each call; `None` leaves it as it is.
fn persistent() -> Vec<Step> {
    vec![
        step(2, Some(LONG), Some(LONG)),
        step(0, None, Some(LONG)),
        step(1, Some(SHORT), Some(SHORT)),
        step(2, None, Some(SHORT)),
        step(0, Some(NEVER), None),
    ]
}

#[test]
fn a_timer_added_again_in_its_callback_waits_as_long_as_it_was_told_last() {
    let base = EventBase::new().unwrap();
    follow(&base, one_shot(), |mut call| {
        Event::timer(&base, move |event| call(event)).unwrap()
    });
}

#[test]
fn a_socket_event_added_again_in_its_callback_waits_as_long_as_it_was_told_last() {
    for (flags, steps) in [
        (Event::READ, one_shot()),
        (Event::READ | Event::PERSIST, persistent()),
        (Event::PERSIST, persistent()),
    ] {
        let base = EventBase::new().unwrap();
        let (ours, _theirs) = pair();
        follow(&base, steps, |mut call| {
            let call = move |_: &UnixStream, what: EventFlags, event: &Event| {
                assert_eq!(what, Event::TIMEOUT);
                call(event);
            };
            Event::new(&base, ours, flags, call).unwrap()
        });
    }
}

#[test]
fn a_signal_event_added_again_in_its_callback_waits_as_long_as_it_was_told_last() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    follow(&base, one_shot(), |mut call| {
        Event::signal(&base, libc::SIGUSR1, move |_, event| call(event)).unwrap()
    });
}

#[test]
fn a_socket_event_added_again_without_a_time_sees_what_is_left() {
    for flags in [Event::READ, Event::READ | Event::PERSIST] {
        let base = EventBase::new().unwrap();
        base.priority_init(3).unwrap();
        let (ours, mut theirs) = pair();
        let seen = Seen::new();
        let (note, mut calls) = (seen.clone(), 0);
        let event = Event::new(&base, ours, flags, move |_, what, event| {
            note.note(what);
            calls += 1;
            event.set_priority(calls % 3).unwrap();
            if calls < 3 {
                event.add(None).unwrap();
            } else {
                event.del().unwrap();
            }
        })
        .unwrap();
        theirs.write_all(b"a").unwrap();
        event.add(ms(30_000)).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [Event::READ; 3], "{flags:?}");
    }
}

#[test]
fn a_signal_raised_again_in_the_callback_that_adds_its_event_again_is_seen() {
    let _turn = signals_turn();
    let base = EventBase::new().unwrap();
    base.priority_init(3).unwrap();
    let count = Rc::new(Cell::new(0));
    let calls = count.clone();
    let event = Event::signal(&base, libc::SIGUSR1, move |_, event| {
        calls.set(calls.get() + 1);
        event.set_priority(calls.get() % 3).unwrap();
        if calls.get() < 4 {
            event.del().unwrap();
            event.add(Some(NEVER)).unwrap();
            raise(Signal::SIGUSR1).unwrap();
        } else {
            event.del().unwrap();
        }
    })
    .unwrap();
    event.add(None).unwrap();
    raise(Signal::SIGUSR1).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(count.get(), 4);
}

#[test]
fn a_listener_enabled_again_in_its_callback_takes_each_connection_once() {
    let base = EventBase::new().unwrap();
    let count = Rc::new(Cell::new(0));
    let calls = count.clone();
    let accept = move |listener: &EventListener, _, _| {
        calls.set(calls.get() + 1);
        listener.disable().unwrap();
        listener.enable().unwrap();
        listener.enable().unwrap(); // it is enabled already
    };
    let (flags, any) = (ListenerFlags::empty(), "127.0.0.1:0");
    let listener = EventListener::new(&base, accept, flags, -1, any).unwrap();
    let address = listener.get_socket_name().unwrap().ip().unwrap();
    let clients: Vec<TcpStream> = (0..5)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    limited(|| {
        while count.get() < clients.len() {
            poll(&base);
        }
    });
    poll(&base);
    assert_eq!(count.get(), clients.len());
    listener.disable().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// A buffer event, its peer, and how often it was called.
fn reading(
    base: &EventBase,
    options: BufferEventOptions,
    mut again: impl FnMut(&EventBufferEvent, usize) + 'static,
) -> (EventBufferEvent, UnixStream, Seen<String>) {
    let (ours, theirs) = pair();
    let bev = EventBufferEvent::new(base, ours, options).unwrap();
    let seen = Seen::new();
    let (reads, events) = (seen.clone(), seen.clone());
    let mut calls = 0;
    let callbacks = Callbacks::new()
        .on_read(move |bev| {
            let bytes = bev.read(99).unwrap().unwrap_or_default();
            reads.note(String::from_utf8(bytes).unwrap());
            calls += 1;
            again(bev, calls);
        })
        .on_event(move |_, what| events.note(format!("{what:?}")));
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(Event::READ).unwrap();
    (bev, theirs, seen)
}

#[test]
fn a_buffer_event_enabled_again_in_its_callback_reads_on_at_another_priority() {
    for options in [
        BufferEventOptions::empty(),
        EventBufferEvent::OPT_DEFER_CALLBACKS,
    ] {
        let base = EventBase::new().unwrap();
        base.priority_init(3).unwrap();
        let (_bev, mut peer, seen) = reading(&base, options, move |bev, calls| {
            bev.disable(Event::READ).unwrap();
            let priority = bev.set_priority(i32::try_from(calls % 3).unwrap());
            // A deferred callback may wait in the queue of the former priority.
            assert_eq!(priority.is_ok(), options.is_empty());
            bev.enable(Event::READ).unwrap();
        });
        for text in ["one", "two", "three", "four"] {
            peer.write_all(text.as_bytes()).unwrap();
            limited(|| {
                while seen.len() == 0 {
                    poll(&base);
                }
            });
            poll(&base);
            assert_eq!(seen.take(), [text], "{options:?}");
        }
    }
}

#[test]
fn timeouts_set_in_the_callback_of_a_buffer_event_count_from_then_on() {
    for options in [
        BufferEventOptions::empty(),
        EventBufferEvent::OPT_DEFER_CALLBACKS,
    ] {
        let base = EventBase::new().unwrap();
        let start = Instant::now();
        let (bev, mut peer, seen) = reading(&base, options, |bev, _| {
            bev.disable(Event::READ).unwrap();
            bev.set_timeouts(Some(LONG), None).unwrap();
            bev.enable(Event::READ).unwrap();
        });
        bev.set_timeouts(Some(NEVER), None).unwrap();
        peer.write_all(b"one").unwrap();
        limited(|| {
            while seen.len() < 2 {
                poll(&base);
            }
        });
        let told = seen.take();
        assert_eq!(told[0], "one");
        assert!(told[1].contains("TIMEOUT"), "{told:?}");
        assert!(start.elapsed() >= LONG.mul_f32(0.8)); // libevent's clock is a coarse one
    }
}

/// Makes a timer whose callback runs in one turn with those of what times out after [`SHORT`], and
/// before them.
fn first_of_a_turn(base: &EventBase, work: impl FnOnce() + 'static) -> Event {
    let mut work = Some(work);
    let first = Event::timer(base, move |_| work.take().unwrap()()).unwrap();
    first.add(Some(Duration::ZERO)).unwrap();
    first
}

#[test]
fn a_socket_event_added_again_when_its_time_is_just_over_sees_what_comes() {
    for flags in [Event::READ, Event::READ | Event::PERSIST] {
        let base = EventBase::new().unwrap();
        let (ours, mut theirs) = pair();
        let seen = Seen::new();
        let note = seen.clone();
        let call = move |_: &UnixStream, what: EventFlags, event: &Event| {
            note.note(what);
            event.del().unwrap();
        };
        let event = Event::new(&base, ours, flags, call).unwrap();
        let again = event.clone();
        let _first = first_of_a_turn(&base, move || {
            again.add(Some(LONG)).unwrap();
            theirs.write_all(b"a").unwrap();
        });
        event.add(Some(SHORT)).unwrap();
        sleep(2 * SHORT); // both are due in the first turn
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [Event::READ], "{flags:?}");
    }
}

#[test]
fn a_buffer_event_enabled_again_when_its_time_is_just_over_reads_what_comes() {
    for options in [
        BufferEventOptions::empty(),
        EventBufferEvent::OPT_DEFER_CALLBACKS,
    ] {
        let base = EventBase::new().unwrap();
        let (bev, mut peer, seen) = reading(&base, options, |bev, _| {
            bev.disable(Event::READ).unwrap();
        });
        let again = bev.clone();
        let _first = first_of_a_turn(&base, move || {
            again.enable(Event::READ).unwrap();
            peer.write_all(b"a").unwrap();
        });
        bev.set_timeouts(Some(SHORT), None).unwrap();
        sleep(2 * SHORT); // both are due in the first turn
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), ["a"], "{options:?}");
    }
}

#[test]
fn a_buffer_event_written_to_when_its_time_is_just_over_writes_on() {
    for options in [
        BufferEventOptions::empty(),
        EventBufferEvent::OPT_DEFER_CALLBACKS,
    ] {
        let base = EventBase::new().unwrap();
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let bev = EventBufferEvent::new(&base, ours, options).unwrap();
        let mut length = 0;
        while bev.output().length() == 0 {
            bev.write([0; 4096]).unwrap(); // until the socket is full
            length += 4096;
            poll(&base);
        }
        let sent = length - bev.output().length();
        let timed_out = Rc::new(Cell::new(false));
        let note = timed_out.clone();
        let callbacks = Callbacks::new().on_write(|bev| bev.free());
        let callbacks = callbacks.on_event(move |bev, _what| {
            note.set(true);
            bev.free();
        });
        bev.set_callbacks(callbacks).unwrap();
        let again = bev.clone();
        let _first = first_of_a_turn(&base, move || {
            again.write("a").unwrap();
            peer.read_exact(&mut vec![0; sent]).unwrap();
            std::mem::forget(peer); // stays open
        });
        bev.set_timeouts(None, Some(LONG)).unwrap();
        sleep(2 * LONG); // both are due in the first turn
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(!timed_out.get(), "{options:?}");
    }
}
