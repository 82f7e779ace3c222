//! When which callback runs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use php_event::{Callbacks, Event, EventBufferEvent, LoopEnd};
use test_support::{Seen, poll, run};

use super::{ALL, BOTH, EOF, LARGE, Link, PLAIN, Transport, event, notes, text};

#[test]
fn setting_callbacks_replaces_all_three() {
    for transport in ALL {
        let link = Link::new(transport);
        let (old, new) = (Seen::new(), Seen::new());
        link.near.set_callbacks(notes(&old)).unwrap();
        let note = new.clone();
        let reads = Callbacks::new().on_read(move |bev| note.note(text(bev.read(9).unwrap())));
        link.near.set_callbacks(reads).unwrap();
        link.near.enable(BOTH).unwrap();
        link.send("hello");
        link.end();
        link.settle();
        assert_eq!(new.take(), ["hello"], "{transport:?}");
        assert!(old.take().is_empty(), "{transport:?}");
    }
}

#[test]
fn replaced_closures_are_dropped_at_once_and_running_ones_when_they_return() {
    for transport in ALL {
        let link = Link::new(transport);
        let held = Rc::new(());
        for _ in 0..3 {
            let (one, two, three) = (held.clone(), held.clone(), held.clone());
            let callbacks = Callbacks::new()
                .on_read(move |_| drop(one.clone()))
                .on_write(move |_| drop(two.clone()))
                .on_event(move |_, _| drop(three.clone()));
            link.near.set_callbacks(callbacks).unwrap();
            assert_eq!(Rc::strong_count(&held), 4, "{transport:?}");
        }
        let token = held.clone();
        let replaces = Callbacks::new().on_read(move |bev| {
            bev.set_callbacks(Callbacks::new()).unwrap();
            assert_eq!(Rc::strong_count(&token), 2);
        });
        link.near.set_callbacks(replaces).unwrap();
        assert_eq!(Rc::strong_count(&held), 2, "{transport:?}");
        link.near.enable(Event::READ).unwrap();
        link.send("hello");
        link.until(|| Rc::strong_count(&held) == 1);
    }
}

#[test]
fn data_left_in_the_input_does_not_call_again_and_more_does() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let lengths = Callbacks::new().on_read(move |bev| note.note(bev.input().length()));
        link.near.set_callbacks(lengths).unwrap();
        link.send("waiting for the reader");
        link.near.enable(Event::READ).unwrap();
        link.settle();
        assert_eq!(seen.take(), [22], "{transport:?}");
        link.near.disable(Event::READ).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.settle();
        assert!(seen.take().is_empty(), "{transport:?}");
        link.send("!");
        link.settle();
        assert_eq!(seen.take(), [23], "{transport:?}");
    }
}

#[test]
fn write_callback_runs_when_the_output_is_written() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        link.near.write("hello").unwrap();
        link.settle();
        assert_eq!(seen.take(), ["write"], "{transport:?}");
        assert_eq!(link.got(), "hello", "{transport:?}");
    }
}

#[test]
fn write_callback_runs_when_the_output_is_down_to_the_low_mark() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let (note, mark) = (seen.clone(), LARGE / 2);
        let lengths = Callbacks::new().on_write(move |bev| {
            note.note(bev.output().length() <= mark);
            bev.set_callbacks(Callbacks::new()).unwrap();
        });
        link.near.set_callbacks(lengths).unwrap();
        link.near.set_watermark(Event::WRITE, mark, 0).unwrap();
        link.near.write(vec![b'x'; LARGE]).unwrap();
        link.until(|| link.received() == LARGE);
        assert_eq!(seen.take(), [true], "{transport:?}");
    }
}

/// A callback that is put off finds the output full again, if more has been written meanwhile.
#[test]
fn write_callback_that_was_put_off_runs_when_the_rest_is_written_too() {
    for options in [PLAIN, EventBufferEvent::OPT_DEFER_CALLBACKS] {
        for transport in ALL {
            let (link, seen) = (Link::with_options(transport, options), Seen::new());
            let (note, near) = (seen.clone(), link.near.clone());
            let lengths = Callbacks::new().on_write(move |bev| note.note(bev.output().length()));
            near.set_callbacks(lengths).unwrap();
            near.write("first").unwrap();
            let timer = Event::timer(&link.base, move |timer| match near.output().length() {
                0 => near.write(" second").unwrap(),
                _ => timer.add(Some(Duration::ZERO)).unwrap(),
            });
            let timer = timer.unwrap();
            timer.add(Some(Duration::ZERO)).unwrap();
            link.until(|| link.received() == "first second".len());
            link.settle();
            let lengths = seen.take();
            assert!(!lengths.is_empty(), "{transport:?}");
            assert!(lengths.iter().all(|length| *length == 0), "{transport:?}");
        }
    }
}

/// Whether the read, write and event callback are set.
fn some([read, write, event]: [bool; 3], seen: &Seen<&'static str>) -> Callbacks {
    let [reads, writes, events] = [0; 3].map(|_| seen.clone());
    let mut callbacks = Callbacks::new();
    if read {
        callbacks = callbacks.on_read(move |_| reads.note("read"));
    }
    if write {
        callbacks = callbacks.on_write(move |_| writes.note("write"));
    }
    if event {
        callbacks = callbacks.on_event(move |_, _| events.note("event"));
    }
    callbacks
}

#[test]
fn loop_comes_back_whichever_callbacks_are_set() {
    for transport in ALL {
        for bits in 0..8 {
            let set = [1, 2, 4].map(|bit| bits & bit != 0);
            let (link, seen) = (Link::new(transport), Seen::new());
            link.near.set_callbacks(some(set, &seen)).unwrap();
            link.near.enable(BOTH).unwrap();
            link.near.write("hello").unwrap();
            link.send("hello");
            link.until(|| link.received() == 5 && link.near.input().length() == 5);
            link.end();
            assert_eq!(run(&link.base), LoopEnd::NoEvents, "{transport:?} {set:?}");
            for _ in 0..5 {
                poll(&link.base);
            }
            let seen = seen.take();
            let called = ["read", "write", "event"].map(|name| seen.contains(&name));
            assert_eq!(called, set, "{transport:?}");
            assert_eq!(text(link.near.read(9).unwrap()), "hello", "{transport:?}");
        }
    }
}

#[test]
fn deferred_callbacks_come_one_after_the_other() {
    let options = EventBufferEvent::OPT_DEFER_CALLBACKS | EventBufferEvent::OPT_UNLOCK_CALLBACKS;
    for transport in ALL {
        let (link, seen) = (Link::with_options(transport, options), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        link.near.enable(BOTH).unwrap();
        link.near.write("out").unwrap();
        link.send("hello");
        link.end();
        run(&link.base);
        let mut seen = seen.take();
        assert_eq!(seen.pop(), Some(event(EOF)), "{transport:?} {seen:?}");
        assert!(
            seen.contains(&"read hello".to_owned()),
            "{transport:?} {seen:?}"
        );
        assert!(seen.contains(&"write".to_owned()), "{transport:?} {seen:?}");
    }
}

#[test]
fn callback_may_write_into_itself_and_others() {
    for transport in ALL {
        let one = Link::new(transport);
        let other = Link::with(&one.base, transport, super::PLAIN);
        let neighbour = other.near.clone();
        let echoes = Callbacks::new().on_read(move |bev| {
            let line = bev.read(64).unwrap().unwrap();
            bev.write(&line).unwrap();
            neighbour.write(&line).unwrap();
        });
        one.near.set_callbacks(echoes).unwrap();
        one.near.enable(Event::READ).unwrap();
        one.send("hello");
        one.until(|| one.received() == 5 && other.received() == 5);
        assert_eq!((one.got(), other.got()), ("hello".into(), "hello".into()));
    }
}

#[test]
fn panic_leaves_it_enabled_and_usable() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let (note, calm) = (seen.clone(), Rc::new(Cell::new(false)));
        let quiet = calm.clone();
        let reads = Callbacks::new().on_read(move |bev| {
            note.note(text(bev.read(9).unwrap()));
            assert!(quiet.replace(true), "the first one");
        });
        link.near.set_callbacks(reads).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("hello");
        let caught = catch_unwind(AssertUnwindSafe(|| link.settle()));
        assert!(caught.is_err() && calm.get(), "{transport:?}");
        assert_eq!(link.near.get_enabled().unwrap(), BOTH, "{transport:?}");
        link.send("again");
        link.until(|| seen.len() == 2);
        assert_eq!(seen.take(), ["hello", "again"], "{transport:?}");
    }
}

#[test]
fn event_of_a_turn_that_panicked_is_reported_in_the_next_loop() {
    for transport in ALL {
        if matches!(transport, Transport::Pair | Transport::TlsFilterOnPair) {
            continue; // its peer's end comes before the bytes are asked for
        }
        let (link, seen) = (Link::new(transport), Seen::new());
        let events = seen.clone();
        let callbacks = Callbacks::new()
            .on_read(|_| panic!("not now"))
            .on_event(move |_, what| events.note(what));
        link.near.set_callbacks(callbacks).unwrap();
        link.send("hello");
        link.end();
        link.near.enable(BOTH).unwrap();
        let caught = catch_unwind(AssertUnwindSafe(|| run(&link.base)));
        assert!(caught.is_err(), "{transport:?}");
        assert!(seen.take().is_empty(), "{transport:?}");
        assert_eq!(run(&link.base), LoopEnd::NoEvents, "{transport:?}");
        assert_eq!(seen.take(), [EOF], "{transport:?}");
    }
}
