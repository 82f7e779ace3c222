//! Two buffer events that are each other's peer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{
    Callbacks, Event, EventBase, EventBufferEvent, EventFlags, Filters, FlushMode, LoopEnd,
    RateLimit,
};

use super::{BOTH, PLAIN, notes, refused, state, text};
use test_support::{Seen, ms, new_base, poll, run};

fn pair(base: &EventBase) -> (EventBufferEvent, EventBufferEvent) {
    EventBufferEvent::create_pair(base, PLAIN).unwrap()
}

#[test]
fn what_one_half_writes_the_other_reads() {
    let base = new_base();
    let (one, other) = pair(&base);
    let (first, second) = (Seen::new(), Seen::new());
    one.set_callbacks(notes(&first)).unwrap();
    other.set_callbacks(notes(&second)).unwrap();
    assert_eq!((one.fd(), other.fd()), (None, None));
    assert_eq!(one.get_enabled().unwrap(), Event::WRITE);
    one.write("hello").unwrap();
    run(&base);
    assert!(
        first.take().is_empty() && second.take().is_empty(),
        "nobody reads yet"
    );
    assert_eq!(one.output().length(), 5);
    other.enable(Event::READ).unwrap();
    assert!(second.take().is_empty(), "callbacks are deferred");
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(
        (first.take(), second.take()),
        (vec!["write".into()], vec!["read hello".into()])
    );
    one.enable(Event::READ).unwrap();
    other.write("back").unwrap();
    run(&base);
    assert_eq!(first.take(), ["read back"]);
}

#[test]
fn a_half_has_no_descriptor_to_close_and_no_priority_and_no_rate() {
    let base = new_base();
    base.priority_init(3).unwrap();
    let (one, _other) = pair(&base);
    refused(one.close(), state, "no descriptor");
    refused(one.set_priority(1), state, "socket of its own");
    refused(
        one.set_rate_limit(Some(RateLimit::new())),
        state,
        "socket of its own",
    );
    assert_eq!(one.priority().unwrap(), 1);
}

#[test]
fn timeouts_work_without_a_socket() {
    let base = new_base();
    let (one, other) = pair(&base);
    let seen = Seen::new();
    one.set_callbacks(notes(&seen)).unwrap();
    one.set_timeouts(ms(2), ms(2)).unwrap();
    one.enable(Event::READ).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["event 65"]);
    one.write("nobody reads").unwrap();
    one.enable(Event::WRITE).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["event 66"]);
    drop(other);
}

#[test]
fn freeing_one_half_is_not_reported_to_the_other() {
    let base = new_base();
    for drops in [false, true] {
        let (one, other) = pair(&base);
        let seen = Seen::new();
        other.set_callbacks(notes(&seen)).unwrap();
        other.enable(BOTH).unwrap();
        one.write("hello").unwrap();
        one.free();
        if drops {
            drop(one);
        }
        run(&base);
        assert_eq!(seen.take(), ["read hello"]);
        other.write("piles up").unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(other.output().length(), 8);
        other.enable(BOTH).unwrap();
        other.disable(BOTH).unwrap();
        refused(
            other.flush(BOTH, FlushMode::Finished),
            state,
            "the other half",
        );
        assert!(seen.take().is_empty());
    }
}

#[test]
fn finished_gives_the_other_half_the_end() {
    let base = new_base();
    let (one, other) = pair(&base);
    let seen = Seen::new();
    other.set_callbacks(notes(&seen)).unwrap();
    one.write("last words").unwrap();
    assert!(!one.flush(Event::WRITE, FlushMode::Finished).unwrap());
    one.free();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["read last words", "event 17"]);
}

#[test]
fn an_end_comes_after_all_that_was_written_before_whatever_the_high_mark() {
    let base = new_base();
    for filters in 0..3 {
        let (mut one, other) = pair(&base);
        for _ in 0..filters {
            one = EventBufferEvent::create_filter(&one, Filters::new(), PLAIN).unwrap();
        }
        let (seen, note) = (Seen::new(), Seen::new());
        let (reads, all) = (note.clone(), seen.clone());
        let callbacks = notes(&seen).on_read(move |bev| {
            reads.note(bev.input().length());
            all.note(format!("read {}", text(bev.read(99).unwrap())));
        });
        other.set_callbacks(callbacks).unwrap();
        other.set_watermark(Event::READ, 0, 4).unwrap();
        one.write("last words").unwrap();
        one.flush(Event::WRITE, FlushMode::Finished).unwrap();
        run(&base);
        assert_eq!(note.take(), [10], "{filters}");
        assert_eq!(seen.take(), ["read last words", "event 17"], "{filters}");
    }
}

#[test]
fn what_is_written_after_the_end_waits_until_the_other_half_reads_again() {
    let base = new_base();
    let (one, other) = pair(&base);
    let seen = Seen::new();
    other.set_callbacks(notes(&seen)).unwrap();
    other.enable(Event::READ).unwrap();
    one.flush(Event::WRITE, FlushMode::Finished).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["event 17"]);
    one.write("one more thing").unwrap();
    run(&base);
    assert_eq!((seen.len(), one.output().length()), (0, 14));
    other.enable(Event::READ).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["read one more thing"]);
}

#[test]
fn an_end_disables_its_direction_with_and_without_an_event_closure() {
    let base = new_base();
    for closure in [false, true] {
        let (one, other) = pair(&base);
        if closure {
            other
                .set_callbacks(Callbacks::new().on_event(|_, _| ()))
                .unwrap();
        }
        other.enable(BOTH).unwrap();
        one.flush(Event::WRITE, FlushMode::Finished).unwrap();
        run(&base);
        assert_eq!(other.get_enabled().unwrap(), Event::WRITE, "{closure}");
        one.flush(Event::READ, FlushMode::Finished).unwrap();
        run(&base);
        assert_eq!(
            other.get_enabled().unwrap(),
            EventFlags::empty(),
            "{closure}"
        );
    }
}

#[test]
fn the_write_timeout_begins_again_with_each_byte_that_is_taken() {
    const TIME: Duration = Duration::from_millis(400);
    const PAUSE: Duration = Duration::from_millis(150); // three of them take longer than TIME
    let base = new_base();
    let (one, other) = pair(&base);
    let told = Rc::new(Cell::new(None));
    let end = told.clone();
    one.set_callbacks(Callbacks::new().on_event(move |_, what| {
        end.set(Some((what, Instant::now())));
    }))
    .unwrap();
    one.set_timeouts(None, Some(TIME)).unwrap();
    other.set_watermark(Event::READ, 0, 1).unwrap();
    other.enable(Event::READ).unwrap();
    one.write("slowly").unwrap();
    let (reader, taken) = (other.clone(), Rc::new(Cell::new(Instant::now())));
    let last = taken.clone();
    let mut left = 3;
    let takes = Event::timer(&base, move |event| {
        reader.read(1).unwrap();
        last.set(Instant::now());
        left -= 1;
        if left > 0 {
            event.add(Some(PAUSE)).unwrap();
        }
    })
    .unwrap();
    takes.add(Some(PAUSE)).unwrap();
    run(&base);
    let (what, when) = told.get().unwrap();
    assert_eq!(what, EventBufferEvent::WRITING | EventBufferEvent::TIMEOUT);
    assert!(when - taken.get() + Duration::from_millis(5) >= TIME);
    assert_eq!(one.get_enabled().unwrap(), EventFlags::empty());
    assert_eq!(one.output().length(), 2);
}

/// libevent's own time begins with the end of the filter, and does not begin again.
#[test]
fn half_under_a_freed_filter_sends_on_as_long_as_the_other_half_reads() {
    const TIME: Duration = Duration::from_millis(400);
    const PAUSE: Duration = Duration::from_millis(100); // six of them take longer than TIME
    let base = new_base();
    let (half, other) = pair(&base);
    half.set_timeouts(None, Some(TIME)).unwrap();
    let options = EventBufferEvent::OPT_CLOSE_ON_FREE;
    let filter = EventBufferEvent::create_filter(&half, Filters::new(), options).unwrap();
    other.set_watermark(Event::READ, 0, 1).unwrap();
    other.enable(Event::READ).unwrap();
    filter.write("slowly").unwrap();
    filter.free();
    let (reader, got) = (other.clone(), Rc::new(RefCell::new(Vec::new())));
    let all = got.clone();
    let takes = Event::timer(&base, move |event| {
        let byte = reader.read(1).unwrap();
        if let Some(byte) = byte {
            all.borrow_mut().extend(byte);
            event.add(Some(PAUSE)).unwrap();
        }
    })
    .unwrap();
    takes.add(Some(PAUSE)).unwrap();
    run(&base);
    assert_eq!(*got.borrow(), b"slowly");
}

#[test]
fn halves_go_in_any_order_in_a_callback_and_out_of_it() {
    let base = new_base();
    for n in 0..16_u32 {
        let bits = [n & 1 == 0, n & 2 == 0, n & 4 == 0, n & 8 == 0];
        let [first, inside, turn_before, turn_between] = bits;
        let (one, other) = pair(&base);
        let (early, late) = if first { (one, other) } else { (other, one) };
        let (doomed, seen) = (early.clone(), Seen::new());
        let note = seen.clone();
        late.set_callbacks(Callbacks::new().on_read(move |bev| {
            note.note(text(bev.read(9).unwrap()));
            if inside {
                doomed.free();
                bev.free();
            }
        }))
        .unwrap();
        late.enable(BOTH).unwrap();
        early.enable(BOTH).unwrap();
        early.write("hello").unwrap();
        late.write("unread").unwrap();
        if turn_before || inside {
            poll(&base);
            assert_eq!(seen.take(), ["hello"]);
        }
        early.free();
        drop(early);
        if turn_between {
            poll(&base);
        }
        drop(late);
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn a_read_high_mark_leaves_the_rest_with_the_writer() {
    let base = new_base();
    let (one, other) = pair(&base);
    other.set_watermark(Event::READ, 0, 4).unwrap();
    other.enable(Event::READ).unwrap();
    one.write("hello world").unwrap();
    assert_eq!((one.output().length(), other.input().length()), (7, 4));
    assert_eq!(text(other.read(9).unwrap()), "hell");
    assert_eq!(other.input().length(), 4, "reading makes room for more");
    one.flush(Event::WRITE, FlushMode::Flush).unwrap();
    assert_eq!(
        text(other.read(9).unwrap()),
        "o world",
        "flushing does not look at marks"
    );
}

#[test]
fn dropped_without_a_loop_they_leave_nothing() {
    let base = new_base();
    let (one, other) = pair(&base);
    let held = std::rc::Rc::new(());
    for bev in [&one, &other] {
        let token = held.clone();
        bev.set_callbacks(Callbacks::new().on_read(move |_| drop(token.clone())))
            .unwrap();
        bev.enable(BOTH).unwrap();
    }
    one.write("hello").unwrap(); // a callback is scheduled, and counts on `other`
    drop((one, other));
    assert_eq!(std::rc::Rc::strong_count(&held), 1);
}
