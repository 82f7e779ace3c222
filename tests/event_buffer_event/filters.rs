//! Buffer events on top of others.

use std::cell::Cell;
use std::rc::Rc;

use php_event::{
    Callbacks, Event, EventBase, EventBuffer, EventBufferEvent, FilterResult, Filters, FlushMode,
    LoopEnd,
};

use super::{BOTH, PLAIN, connected, got, notes, send, text};
use test_support::{Seen, new_base, poll, run};

/// Turns everything to the case that `turn` gives.
pub(super) fn turning(
    turn: fn(&[u8]) -> Vec<u8>,
) -> impl FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult + 'static {
    move |source, destination, _limit, _mode| match source.read(3).unwrap() {
        Some(bytes) => {
            destination.add(turn(&bytes)).unwrap();
            FilterResult::Ok
        }
        None => FilterResult::NeedMore,
    }
}

pub(super) fn up() -> Filters {
    Filters::new()
        .on_input(turning(<[u8]>::to_ascii_uppercase))
        .on_output(turning(<[u8]>::to_ascii_lowercase))
}

pub(super) fn on(under: &EventBufferEvent, filters: Filters) -> EventBufferEvent {
    EventBufferEvent::create_filter(under, filters, PLAIN).unwrap()
}

#[test]
fn bytes_pass_through_the_closures_both_ways() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(&under, up());
    let seen = Seen::new();
    filter.set_callbacks(notes(&seen)).unwrap();
    assert_eq!(filter.get_enabled().unwrap(), Event::WRITE);
    assert_eq!(filter.fd(), under.fd());
    filter.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    assert_eq!(seen.take(), ["read HELLO"]);
    filter.write("WORLD").unwrap();
    assert_eq!(
        seen.take(),
        ["write"],
        "written is what has reached the one below"
    );
    poll(&base);
    assert_eq!(got(&peer), "world");
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["event 17"]);
}

#[test]
fn without_closures_everything_passes_as_it_is() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(&under, Filters::new());
    filter.enable(Event::READ).unwrap();
    filter.write("out").unwrap();
    send(&peer, "in");
    poll(&base);
    assert_eq!(
        (got(&peer), text(filter.read(9).unwrap())),
        ("out".into(), "in".into())
    );
}

#[test]
fn filters_stack_and_work_on_pairs() {
    let base = new_base();
    let (one, other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    let exclaim = Filters::new().on_output(|source, destination, _, _| {
        destination.add_buffer(source).unwrap();
        destination.add("!").unwrap();
        FilterResult::Ok
    });
    let lower = on(&one, exclaim);
    let upper = on(&lower, up());
    let seen = Seen::new();
    other.set_callbacks(notes(&seen)).unwrap();
    other.enable(Event::READ).unwrap();
    drop((one, lower)); // the upper one counts on them
    upper.write("HE").unwrap();
    run(&base);
    assert_eq!(seen.take(), ["read he!"]);
    upper.enable(Event::READ).unwrap();
    other.write("back").unwrap();
    run(&base);
    assert_eq!(text(upper.read(9).unwrap()), "BACK");
}

#[test]
fn a_closure_that_waits_for_more_gets_it_with_what_it_left() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    let filter = on(
        &under,
        Filters::new().on_input(move |source, destination, limit, mode| {
            note.note(format!("{} {limit:?} {mode:?}", source.length()));
            if source.length() < 5 {
                return FilterResult::NeedMore;
            }
            assert_eq!(destination.append_from(source, 5).unwrap(), 5);
            FilterResult::Ok
        }),
    );
    filter.enable(Event::READ).unwrap();
    send(&peer, "hel");
    poll(&base);
    assert_eq!(filter.input().length(), 0);
    send(&peer, "lo wor");
    poll(&base);
    assert_eq!(text(filter.read(99).unwrap()), "hello");
    assert_eq!(
        seen.take(),
        ["3 None Normal", "9 None Normal", "4 None Normal"]
    );
}

#[test]
fn watermarks_limit_what_a_closure_should_put() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let seen = Seen::new();
    let (inner, outer) = (seen.clone(), seen.clone());
    let filters = Filters::new()
        .on_input(move |source, destination, limit, _| {
            inner.note(limit);
            destination.append_from(source, limit.unwrap()).unwrap();
            FilterResult::Ok
        })
        .on_output(move |source, destination, limit, _| {
            outer.note(limit);
            destination.append_from(source, limit.unwrap()).unwrap();
            FilterResult::Ok
        });
    let filter = on(&under, filters);
    filter.set_watermark(Event::READ, 0, 4).unwrap();
    under.set_watermark(Event::WRITE, 0, 3).unwrap();
    filter.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    assert_eq!(text(filter.read(9).unwrap()), "hell");
    assert_eq!(
        text(filter.read(9).unwrap()),
        "o",
        "reading makes room for the rest"
    );
    assert_eq!(seen.take(), [Some(4), Some(4)]);
    filter.write("world").unwrap();
    assert_eq!((filter.output().length(), under.output().length()), (2, 3));
    run_until(&base, || filter.output().length() == 0);
    run_until(&base, || under.output().length() == 0);
    assert_eq!(got(&peer), "world");
    assert_eq!(seen.take(), [Some(3), Some(3)]);
}

fn run_until(base: &EventBase, done: impl Fn() -> bool) {
    while !done() {
        poll(base);
    }
}

/// libevent passes on only what comes after that.
#[test]
fn enabling_moves_what_waits_already() {
    let base = new_base();
    let (under, peer) = connected(&base);
    under.enable(Event::READ).unwrap();
    send(&peer, "early");
    poll(&base);
    assert_eq!(under.input().length(), 5);
    let filter = on(&under, up());
    let seen = Seen::new();
    filter.set_callbacks(notes(&seen)).unwrap();
    filter.disable(Event::WRITE).unwrap();
    filter.write("LATE").unwrap();
    poll(&base);
    assert!(seen.take().is_empty());
    filter.enable(BOTH).unwrap();
    poll(&base);
    assert_eq!(seen.take(), ["write", "read EARLY"]);
    assert_eq!(got(&peer), "late");
}

/// libevent flushes the filters from the top down, without their read callbacks.
#[test]
fn no_bytes_stay_between_filters_when_the_high_mark_is_taken_away() {
    for layers in 2..5 {
        let base = new_base();
        let (peer, bottom) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
        let mut top = bottom;
        for _ in 0..layers {
            top = on(&top, Filters::new());
        }
        let read = Rc::new(Cell::new(0));
        let count = read.clone();
        let takes = Callbacks::new().on_read(move |bev| {
            let bytes = bev.read(usize::MAX).unwrap().unwrap_or_default();
            count.set(count.get() + bytes.len());
        });
        top.set_callbacks(takes).unwrap();
        top.set_watermark(Event::READ, 0, 100).unwrap();
        top.enable(Event::READ).unwrap();
        peer.write([0; 5000]).unwrap();
        poll(&base);
        peer.write([0]).unwrap();
        top.set_watermark(Event::READ, 0, 0).unwrap();
        run(&base);
        assert_eq!(read.get(), 5001, "{layers}");
    }
}

/// All of it waits in the half at the bottom, and nothing in the filters.
#[test]
fn enabling_moves_what_waits_below_several_filters() {
    let base = new_base();
    let (peer, bottom) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    bottom.enable(Event::READ).unwrap();
    peer.write("early").unwrap();
    run(&base);
    let lower = on(&bottom, Filters::new());
    let upper = on(&lower, Filters::new());
    let seen = Seen::new();
    upper.set_callbacks(notes(&seen)).unwrap();
    upper.enable(Event::READ).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["read early"]);
}

#[test]
fn flush_passes_its_mode_to_the_closures() {
    let base = new_base();
    let (under, _peer) = connected(&base);
    let seen = Seen::new();
    let (inner, outer) = (seen.clone(), seen.clone());
    let filter = on(
        &under,
        Filters::new()
            .on_input(move |_, _, _, mode| {
                inner.note(format!("in {mode:?}"));
                FilterResult::NeedMore
            })
            .on_output(move |_, destination, _, mode| {
                outer.note(format!("out {mode:?}"));
                destination.add("trailer").unwrap();
                FilterResult::Ok
            }),
    );
    assert!(!filter.flush(BOTH, FlushMode::Normal).unwrap());
    assert!(seen.take().is_empty(), "nothing waits");
    assert!(filter.flush(BOTH, FlushMode::Flush).unwrap());
    assert!(!filter.flush(Event::READ, FlushMode::Finished).unwrap());
    assert_eq!(seen.take(), ["in Flush", "out Flush", "in Finished"]);
    assert_eq!(under.output().length(), 7);
}

#[test]
fn an_error_ends_its_direction_as_on_a_socket() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(
        &under,
        Filters::new()
            .on_input(|_, _, _, _| FilterResult::Error)
            .on_output(|_, _, _, _| FilterResult::Error),
    );
    let seen = Seen::new();
    let note = seen.clone();
    filter
        .set_callbacks(Callbacks::new().on_event(move |_, what| {
            note.note((what.bits(), std::io::Error::last_os_error().raw_os_error()));
        }))
        .unwrap();
    filter.enable(Event::READ).unwrap();
    send(&peer, "nonsense");
    poll(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [(33, Some(libc::EPROTO))]);
    assert_eq!(filter.get_enabled().unwrap(), Event::WRITE);
    filter.write("nonsense").unwrap();
    assert!(seen.take().is_empty(), "not inside the call");
    run(&base);
    assert_eq!(seen.take(), [(34, Some(libc::EPROTO))]);
    assert!(filter.get_enabled().unwrap().is_empty());
    assert_eq!(filter.output().length(), 8);
}

#[test]
fn a_write_callback_may_write_the_next_piece() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(&under, up());
    let left = Rc::new(Cell::new(1000));
    let count = left.clone();
    filter
        .set_callbacks(Callbacks::new().on_write(move |bev| {
            if count.get() > 0 {
                count.set(count.get() - 1);
                bev.write("CHUNK").unwrap();
            }
        }))
        .unwrap();
    filter.write("CHUNK").unwrap();
    while left.get() > 0 || under.output().length() > 0 {
        poll(&base);
    }
    let mut all = String::new();
    while all.len() < 1001 * 5 {
        all += &got(&peer);
    }
    assert_eq!(all, "chunk".repeat(1001));
}

/// libevent leaves in the one below what the mark kept back, if the callback takes at once
/// what is there.
#[test]
fn what_the_high_mark_kept_back_comes_after_it() {
    for at_once in [1, 4, 99] {
        let base = new_base();
        let (under, peer) = connected(&base);
        let filter = on(&under, Filters::new());
        let seen = Seen::new();
        let note = seen.clone();
        filter
            .set_callbacks(
                Callbacks::new()
                    .on_read(move |bev| note.note(text(bev.read(at_once).unwrap())))
                    .on_event(|bev, _| bev.free()),
            )
            .unwrap();
        filter.set_watermark(Event::READ, 0, 4).unwrap();
        filter.enable(Event::READ).unwrap();
        send(&peer, "one two three");
        for _ in 0..20 {
            poll(&base);
        }
        let seen = seen.take().concat();
        assert!(
            "one two three".starts_with(&seen) && seen.len() > 9,
            "{seen:?}"
        );
    }
}

/// Called inside the callback that makes room, which is not entered a second time; the call is
/// put off, and that callback has read everything by then.
#[test]
fn a_call_that_was_put_off_and_finds_nothing_is_left_out() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(&under, Filters::new());
    let seen = Seen::new();
    let note = seen.clone();
    let mut first = true;
    filter
        .set_callbacks(Callbacks::new().on_read(move |bev| {
            let mut all = String::new();
            while !std::mem::take(&mut first)
                && let Some(bytes) = bev.read(4).unwrap()
            {
                all += &text(Some(bytes));
            }
            note.note(all);
        }))
        .unwrap();
    filter.set_watermark(Event::READ, 0, 4).unwrap();
    filter.enable(Event::READ).unwrap();
    send(&peer, "one two three ");
    for _ in 0..9 {
        poll(&base);
    }
    assert_eq!(seen.take(), ["", "one two three "]);
    send(&peer, "four");
    poll(&base);
    assert_eq!(seen.take(), ["four"]);
}

/// As above, but the callback takes one piece each time.
#[test]
fn a_call_that_was_put_off_and_finds_something_comes() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = on(&under, Filters::new());
    let seen = Seen::new();
    let note = seen.clone();
    let mut first = true;
    filter
        .set_callbacks(Callbacks::new().on_read(move |bev| {
            if !std::mem::take(&mut first) {
                note.note(text(bev.read(4).unwrap()));
            }
        }))
        .unwrap();
    filter.set_watermark(Event::READ, 0, 4).unwrap();
    filter.enable(Event::READ).unwrap();
    send(&peer, "one two six ");
    for _ in 0..9 {
        poll(&base);
    }
    assert_eq!(seen.take(), ["one ", "two ", "six "]);
}

#[test]
fn debug_shows_which_closures_are_set() {
    let filters = format!("{:?}", Filters::new().on_input(turning(<[u8]>::to_vec)));
    assert_eq!(filters, "Filters { input: true, output: false }");
}
