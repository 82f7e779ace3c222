//! Buffer events on top of others.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use php_event::{
    Callbacks, Error, Event, EventBase, EventBuffer, EventBufferEvent, FilterResult, Filters,
    FlushMode, LoopEnd,
};

use super::{BOTH, PLAIN, connected, got, notes, refused, send, state, text};
use crate::support_class::{Seen, ms, new_base, pass, run};

/// Turns everything to the case that `turn` gives.
fn turning(
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

fn up() -> Filters {
    Filters::new()
        .on_input(turning(<[u8]>::to_ascii_uppercase))
        .on_output(turning(<[u8]>::to_ascii_lowercase))
}

fn on(under: &EventBufferEvent, filters: Filters) -> EventBufferEvent {
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
    pass(&base);
    assert_eq!(seen.take(), ["read HELLO"]);
    filter.write("WORLD").unwrap();
    assert_eq!(
        seen.take(),
        ["write"],
        "written is what has reached the one below"
    );
    pass(&base);
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
    pass(&base);
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
    pass(&base);
    assert_eq!(filter.input().length(), 0);
    send(&peer, "lo wor");
    pass(&base);
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
    pass(&base);
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
        pass(base);
    }
}

/// libevent passes on only what comes after that.
#[test]
fn enabling_moves_what_waits_already() {
    let base = new_base();
    let (under, peer) = connected(&base);
    under.enable(Event::READ).unwrap();
    send(&peer, "early");
    pass(&base);
    assert_eq!(under.input().length(), 5);
    let filter = on(&under, up());
    let seen = Seen::new();
    filter.set_callbacks(notes(&seen)).unwrap();
    filter.disable(Event::WRITE).unwrap();
    filter.write("LATE").unwrap();
    pass(&base);
    assert!(seen.take().is_empty());
    filter.enable(BOTH).unwrap();
    pass(&base);
    assert_eq!(seen.take(), ["write", "read EARLY"]);
    assert_eq!(got(&peer), "late");
}

#[test]
fn flushing_tells_the_closures_why() {
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
    pass(&base);
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

/// libevent asks on and on while bytes wait.
#[test]
fn ok_without_taking_anything_does_not_hang() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let calls = Rc::new(Cell::new(0));
    let (inner, outer) = (calls.clone(), calls.clone());
    let filter = on(
        &under,
        Filters::new()
            .on_input(move |_, destination, _, _| {
                inner.set(inner.get() + 1);
                destination.add("x").unwrap();
                FilterResult::Ok
            })
            .on_output(move |_, _, _, _| {
                outer.set(outer.get() + 1);
                FilterResult::Ok
            }),
    );
    let seen = Seen::new();
    filter.set_callbacks(notes(&seen)).unwrap();
    filter.enable(Event::READ).unwrap();
    send(&peer, "hello");
    crate::support_class::limited(|| pass(&base));
    assert_eq!(calls.take(), 1);
    assert_eq!(seen.take(), ["read x"]);
    crate::support_class::limited(|| filter.write("hello").unwrap());
    assert_eq!(calls.take(), 1);
    send(&peer, "!");
    pass(&base);
    assert_eq!(calls.take(), 1, "more bytes, another chance");
}

#[test]
fn buffers_kept_after_the_call_answer_an_error() {
    let base = new_base();
    let (under, _peer) = connected(&base);
    let kept = Rc::new(RefCell::new(Vec::new()));
    let keep = kept.clone();
    let filter = on(
        &under,
        Filters::new().on_output(move |source, destination, _, _| {
            keep.borrow_mut()
                .extend([source.clone(), destination.clone()]);
            destination.add_buffer(source).unwrap();
            FilterResult::Ok
        }),
    );
    filter.write("hello").unwrap();
    let kept = kept.take();
    assert_eq!(kept.len(), 2);
    for buffer in &kept {
        assert_eq!(buffer.length(), 0);
        let error = buffer.add("x").unwrap_err();
        let what = "filter's buffer";
        assert!(
            matches!(error, Error::Freed { object, .. } if object == what),
            "{error:?}"
        );
    }
    drop((filter, under, base));
    assert!(kept[0].add("x").is_err());
}

/// What a closure can do to the filter that it belongs to, from inside.
#[test]
fn a_closure_may_free_close_flush_and_write_its_own_filter() {
    type Work = fn(&EventBufferEvent, &EventBufferEvent);
    let works: [Work; 6] = [
        |filter, _| filter.free(),
        |_, under| under.free(),
        |filter, under| {
            under.free();
            filter.free();
        },
        |filter, _| drop(filter.flush(BOTH, FlushMode::Finished)),
        |filter, _| drop(filter.write("more")),
        |filter, _| drop(filter.set_callbacks(Callbacks::new())),
    ];
    for work in works {
        for input in [false, true] {
            let base = new_base();
            let (under, peer) = connected(&base);
            let handles = Rc::new(RefCell::new(None));
            let (own, calls) = (handles.clone(), Rc::new(Cell::new(0)));
            let count = calls.clone();
            let closure = move |source: &EventBuffer, destination: &EventBuffer, _, _| {
                count.set(count.get() + 1);
                if let Some((filter, under)) = own.take() {
                    work(&filter, &under);
                }
                destination
                    .add_buffer(source)
                    .map_or(FilterResult::Error, |()| FilterResult::Ok)
            };
            let filters = if input {
                Filters::new().on_input(closure)
            } else {
                Filters::new().on_output(closure)
            };
            let filter = on(&under, filters);
            filter.set_timeouts(ms(1), ms(1)).unwrap();
            filter.set_callbacks(notes(&Seen::new())).unwrap();
            handles.replace(Some((filter.clone(), under.clone())));
            filter.enable(Event::READ).unwrap();
            send(&peer, "hello");
            drop(filter.write("world"));
            drop(peer);
            run(&base);
            assert!(calls.get() > 0);
        }
    }
}

/// Freed in the write callback, which libevent runs in the middle of its work on a filter: a
/// timer that it starts afterwards would fire on freed memory.
#[test]
fn freed_in_its_callbacks_with_timeouts_it_leaves_no_timer() {
    for part in 0..3 {
        let base = new_base();
        let (under, peer) = connected(&base);
        let filter = on(&under, up());
        filter.set_timeouts(ms(1), ms(1)).unwrap();
        under.set_watermark(Event::WRITE, 0, 2).unwrap(); // so that the one below asks for more
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let free = move |bev: &EventBufferEvent| {
            count.set(count.get() + 1);
            if part != 1 || bev.output().length() == 0 {
                bev.free();
            }
        };
        let callbacks = match part {
            0 => Callbacks::new().on_read(free),
            1 => Callbacks::new().on_write(free),
            _ => Callbacks::new().on_event(move |bev, _| free(bev)),
        };
        filter.set_callbacks(callbacks).unwrap();
        filter.enable(Event::READ).unwrap();
        filter.write("hello").unwrap();
        send(&peer, "hello");
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(calls.get() > 0, "{part}");
    }
}

#[test]
fn a_panic_in_a_closure_comes_out_of_the_call_that_ran_it() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let angry = Rc::new(Cell::new(true));
    let (inner, outer) = (angry.clone(), angry.clone());
    let filter = on(
        &under,
        Filters::new()
            .on_input(move |source, destination, _, _| {
                assert!(!inner.get(), "input");
                destination.add_buffer(source).unwrap();
                FilterResult::Ok
            })
            .on_output(move |source, destination, _, _| {
                assert!(!outer.get(), "output");
                destination.add_buffer(source).unwrap();
                FilterResult::Ok
            }),
    );
    let seen = Seen::new();
    filter.set_callbacks(notes(&seen)).unwrap();
    filter.enable(Event::READ).unwrap();
    let words = |work: &dyn Fn()| {
        let payload = catch_unwind(AssertUnwindSafe(work)).unwrap_err();
        payload.downcast_ref::<&str>().map(ToString::to_string)
    };
    assert_eq!(words(&|| filter.write("hello").unwrap()).unwrap(), "output");
    assert_eq!(
        words(&|| filter.output().add("!").unwrap()).unwrap(),
        "output"
    );
    send(&peer, "hello");
    assert_eq!(
        words(&|| assert_eq!(pass(&base), LoopEnd::Stop)).unwrap(),
        "input"
    );
    assert!(base.got_stop());
    angry.set(false);
    assert_eq!(filter.get_enabled().unwrap(), BOTH, "it stays usable");
    filter.enable(BOTH).unwrap();
    pass(&base);
    assert_eq!(seen.take(), ["write", "read hello"]);
    assert_eq!(got(&peer), "hello!");
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
        pass(&base);
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
            pass(&base);
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
        pass(&base);
    }
    assert_eq!(seen.take(), ["", "one two three "]);
    send(&peer, "four");
    pass(&base);
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
        pass(&base);
    }
    assert_eq!(seen.take(), ["one ", "two ", "six "]);
}

#[test]
fn one_filter_at_a_time_and_the_one_below_gets_its_callbacks_back() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let seen = Seen::new();
    under.set_callbacks(notes(&seen)).unwrap();
    let filter = on(&under, up());
    let second = EventBufferEvent::create_filter(&under, up(), PLAIN);
    refused(second, state, "on top of it already");
    under.set_callbacks(notes(&seen)).unwrap(); // for later
    filter.enable(Event::READ).unwrap();
    send(&peer, "hello");
    pass(&base);
    assert!(seen.take().is_empty());
    assert_eq!(text(filter.read(9).unwrap()), "HELLO");
    drop(filter);
    pass(&base);
    send(&peer, "again");
    pass(&base);
    assert_eq!(seen.take(), ["read again"]);
    let third = on(&under, up());
    third.enable(Event::READ).unwrap();
    send(&peer, "third");
    pass(&base);
    assert_eq!(text(third.read(9).unwrap()), "THIRD");
}

#[test]
fn with_close_on_free_the_one_below_goes_with_it_and_without_it_stays() {
    let base = new_base();
    for close in [false, true] {
        let (under, peer) = connected(&base);
        let options = if close {
            EventBufferEvent::OPT_CLOSE_ON_FREE
        } else {
            PLAIN
        };
        let filter = EventBufferEvent::create_filter(&under, up(), options).unwrap();
        drop(filter);
        assert_eq!(under.write("below").is_err(), close);
        assert_eq!(under.disable(Event::READ).is_err(), close);
        run(&base);
        drop(under);
        assert_eq!(got(&peer), if close { "" } else { "below" });
    }
}

#[test]
fn the_one_below_freed_first_leaves_a_filter_that_goes_nowhere() {
    let base = new_base();
    let (under, _peer) = connected(&base);
    let filter = on(&under, up());
    filter.enable(Event::READ).unwrap();
    under.free();
    run(&base);
    filter.write("into the void").unwrap();
    filter.enable(BOTH).unwrap();
    drop(filter.flush(BOTH, FlushMode::Finished));
    assert_eq!(filter.read(9).unwrap(), None);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(filter.fd(), None);
    drop(under);
    run(&base);
    drop(filter);
}

#[test]
fn stacks_dropped_in_any_order_with_work_scheduled_leave_nothing() {
    for order in 0..6 {
        for turn in [false, true] {
            let base = new_base();
            let (one, other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
            let defer = EventBufferEvent::OPT_DEFER_CALLBACKS;
            let lower = EventBufferEvent::create_filter(&one, up(), defer).unwrap();
            let upper = EventBufferEvent::create_filter(&lower, up(), defer).unwrap();
            for bev in [&one, &lower, &upper, &other] {
                bev.set_callbacks(notes(&Seen::new())).unwrap();
                bev.enable(BOTH).unwrap();
            }
            upper.write("down").unwrap();
            other.write("up").unwrap();
            let mut all = vec![one, lower, upper];
            if turn {
                pass(&base);
            }
            all.swap(order % 3, 2);
            all.swap(0, order / 3);
            drop(base);
            for bev in all {
                bev.free();
            }
            drop(other);
        }
    }
}

#[test]
fn debug_tells_which_closures_there_are() {
    let filters = format!("{:?}", Filters::new().on_input(turning(<[u8]>::to_vec)));
    assert_eq!(filters, "Filters { input: true, output: false }");
}
