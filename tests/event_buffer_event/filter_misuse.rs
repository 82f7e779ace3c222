//! What a filter's closures and handles may do to it: nothing hangs, leaks or reaches freed
//! memory.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use php_event::{
    Callbacks, Error, Event, EventBuffer, EventBufferEvent, FilterResult, Filters, FlushMode,
    LoopEnd,
};

use super::filters::{on, up};
use super::{BOTH, PLAIN, connected, got, notes, refused, send, state, text};
use test_support::{Seen, ms, new_base, poll, run};

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
    test_support::limited(|| poll(&base));
    assert_eq!(calls.take(), 1);
    assert_eq!(seen.take(), ["read x"]);
    test_support::limited(|| filter.write("hello").unwrap());
    assert_eq!(calls.take(), 1);
    send(&peer, "!");
    poll(&base);
    assert_eq!(calls.take(), 1, "more bytes, another chance");
    filter.set_watermark(Event::READ, 0, 99).unwrap();
    for _ in 0..9 {
        poll(&base);
        filter.enable(Event::READ).unwrap();
    }
    assert_eq!(calls.take(), 0);
    filter.flush(Event::READ, FlushMode::Flush).unwrap();
    assert!(calls.take() > 0, "who flushes means it");
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
        words(&|| assert_eq!(poll(&base), LoopEnd::Stop)).unwrap(),
        "input"
    );
    assert!(base.got_stop());
    angry.set(false);
    assert_eq!(filter.get_enabled().unwrap(), BOTH, "it stays usable");
    filter.enable(BOTH).unwrap();
    poll(&base);
    assert_eq!(seen.take(), ["write", "read hello"]);
    assert_eq!(got(&peer), "hello!");
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
    poll(&base);
    assert!(seen.take().is_empty());
    assert_eq!(text(filter.read(9).unwrap()), "HELLO");
    drop(filter);
    poll(&base);
    send(&peer, "again");
    poll(&base);
    assert_eq!(seen.take(), ["read again"]);
    let third = on(&under, up());
    third.enable(Event::READ).unwrap();
    send(&peer, "third");
    poll(&base);
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
                poll(&base);
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

/// Bytes pass through all of them in one chain of calls: 500 would overflow a thread's stack.
#[test]
fn the_65th_filter_on_top_of_others_is_refused_and_bytes_pass_through_64() {
    let base = new_base();
    let (under, peer) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    peer.enable(Event::READ).unwrap();
    let pass = |source: &EventBuffer, to: &EventBuffer, _, _| match to.add_buffer(source) {
        Ok(()) => FilterResult::Ok,
        Err(_) => FilterResult::Error,
    };
    let mut top = under;
    for _ in 0..64 {
        top = on(&top, Filters::new().on_input(pass).on_output(pass));
    }
    let one_more = EventBufferEvent::create_filter(&top, Filters::new(), PLAIN);
    refused(one_more, state, "64 filters are on top of each other");
    top.enable(Event::READ).unwrap();
    top.write("down").unwrap();
    poll(&base);
    assert_eq!(peer.read(9).unwrap().as_deref(), Some(&b"down"[..]));
    peer.write("up").unwrap();
    poll(&base);
    assert_eq!(top.read(9).unwrap().as_deref(), Some(&b"up"[..]));
}
