//! When which callback runs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use php_event::{Callbacks, Event, EventBufferEvent, LoopEnd};

use super::{BOTH, connected, notes, send, text, with_options};
use test_support::{Seen, new_base, poll, run};

#[test]
fn setting_callbacks_replaces_all_three() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let (old, new) = (Seen::new(), Seen::new());
    bev.set_callbacks(notes(&old)).unwrap();
    let note = new.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| note.note(text(bev.read(9).unwrap()))))
        .unwrap();
    bev.enable(BOTH).unwrap();
    send(&peer, "hello");
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(new.take(), ["hello"]);
    assert!(old.take().is_empty());
    bev.set_callbacks(Callbacks::new()).unwrap();
    bev.enable(BOTH).unwrap();
    run(&base);
    assert!(new.take().is_empty());
}

#[test]
fn replaced_closures_are_dropped_at_once_and_running_ones_when_they_return() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let held = Rc::new(());
    for _ in 0..3 {
        let (one, two, three) = (held.clone(), held.clone(), held.clone());
        let callbacks = Callbacks::new()
            .on_read(move |_| drop(one.clone()))
            .on_write(move |_| drop(two.clone()))
            .on_event(move |_, _| drop(three.clone()));
        bev.set_callbacks(callbacks).unwrap();
        assert_eq!(Rc::strong_count(&held), 4);
    }
    let token = held.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| {
        bev.set_callbacks(Callbacks::new()).unwrap();
        assert_eq!(Rc::strong_count(&token), 2);
    }))
    .unwrap();
    assert_eq!(Rc::strong_count(&held), 2);
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    assert_eq!(Rc::strong_count(&held), 1);
    bev.set_callbacks(Callbacks::new()).unwrap();
}

#[test]
fn enabling_to_write_runs_the_write_callback_once_each_time_and_the_default_does_not() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(seen.take().is_empty());
    for _ in 0..2 {
        bev.enable(Event::WRITE).unwrap();
        bev.enable(Event::WRITE).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), ["write"]);
    }
}

#[test]
fn data_that_is_left_in_the_input_does_not_call_again_and_more_does() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| note.note(bev.input().length())))
        .unwrap();
    send(&peer, "waiting in the kernel");
    bev.enable(Event::READ).unwrap();
    poll(&base);
    assert_eq!(seen.take(), [21]);
    poll(&base);
    bev.disable(Event::READ).unwrap();
    bev.enable(Event::READ).unwrap();
    poll(&base);
    assert!(seen.take().is_empty());
    send(&peer, "!");
    poll(&base);
    assert_eq!(seen.take(), [22]);
}

#[test]
fn at_most_4096_bytes_come_in_at_once() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| {
        note.note(bev.read(usize::MAX).unwrap().unwrap().len());
    }))
    .unwrap();
    send(&peer, &"x".repeat(10_000));
    drop(peer);
    bev.enable(Event::READ).unwrap();
    run(&base);
    assert_eq!(seen.take(), [4096, 4096, 1808]);
}

#[test]
fn the_write_callback_runs_when_the_output_is_down_to_the_low_mark() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.write("hello").unwrap();
    poll(&base);
    assert_eq!(seen.take(), ["write"]);
    assert_eq!(super::got(&peer), "hello");

    let note = seen.clone();
    let lengths = Callbacks::new().on_write(move |bev| {
        let left = bev.output().length();
        note.note(format!("left {}", left > 0 && left <= 3_000_000));
        bev.disable(Event::WRITE).unwrap();
    });
    bev.set_callbacks(lengths).unwrap();
    bev.set_watermark(Event::WRITE, 3_000_000, 0).unwrap();
    bev.write(vec![b'x'; 3_100_000]).unwrap(); // more than the socket takes
    let mut taken = 0;
    while seen.len() == 0 {
        poll(&base);
        taken += super::got(&peer).len();
        assert!(taken <= 3_100_000);
    }
    assert_eq!(seen.take(), ["left true"]);
}

#[test]
fn callbacks_that_are_not_set_are_skipped() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.enable(BOTH).unwrap();
    send(&peer, "hello");
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(text(bev.read(9).unwrap()), "hello");
}

#[test]
fn deferred_callbacks_come_one_after_the_other_from_the_queue() {
    let base = new_base();
    let options = EventBufferEvent::OPT_DEFER_CALLBACKS | EventBufferEvent::OPT_UNLOCK_CALLBACKS;
    let (bev, peer) = with_options(&base, options);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.enable(BOTH).unwrap();
    send(&peer, "hello");
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["read hello", "write", "event 17"]);
}

#[test]
fn a_callback_may_write_into_itself_and_others() {
    let base = new_base();
    let ((one, first), (other, second)) = (connected(&base), connected(&base));
    let neighbour = other.clone();
    one.set_callbacks(Callbacks::new().on_read(move |bev| {
        let line = bev.read(64).unwrap().unwrap();
        bev.write(&line).unwrap();
        neighbour.write(&line).unwrap();
    }))
    .unwrap();
    one.enable(Event::READ).unwrap();
    send(&first, "hello");
    poll(&base);
    poll(&base);
    assert_eq!(
        (super::got(&first), super::got(&second)),
        ("hello".into(), "hello".into())
    );
}

#[test]
fn a_panic_leaves_it_enabled_and_usable() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let (note, calm) = (seen.clone(), Rc::new(Cell::new(false)));
    let quiet = calm.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| {
        note.note(text(bev.read(9).unwrap()));
        assert!(quiet.replace(true), "the first one");
    }))
    .unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&base)));
    assert!(caught.is_err() && base.got_stop() && !base.got_exit());
    assert_eq!(bev.get_enabled().unwrap(), BOTH);
    send(&peer, "again");
    poll(&base);
    assert_eq!(seen.take(), ["hello", "again"]);
}

/// A panic of one callback keeps those back that libevent calls right after it; what they
/// would have been told must not be lost.
#[test]
fn events_during_a_panic_are_reported_in_the_next_loop() {
    let base = new_base();
    let (bev, peer) = with_options(&base, EventBufferEvent::OPT_DEFER_CALLBACKS);
    let seen = Seen::new();
    let callbacks = notes(&seen).on_read(|bev| {
        bev.set_callbacks(Callbacks::new()).unwrap();
        panic!("not now");
    });
    let (writes, events) = (seen.clone(), seen.clone());
    let errno = Rc::new(RefCell::new(None));
    let number = errno.clone();
    drop(callbacks);
    let callbacks = Callbacks::new()
        .on_read(|_| panic!("not now"))
        .on_write(move |_| writes.note("write".to_owned()))
        .on_event(move |_, what| {
            number.replace(std::io::Error::last_os_error().raw_os_error());
            events.note(format!("event {}", what.bits()));
        });
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(BOTH).unwrap();
    send(&peer, "hello");
    drop(peer);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&base)));
    assert!(caught.is_err());
    assert!(seen.take().is_empty());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["write", "event 17"]);
}
