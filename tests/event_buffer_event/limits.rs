//! Watermarks, priorities, rate limits.

use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{Callbacks, Event, EventBase, EventBufferEvent, EventConfig, LoopEnd, RateLimit};

use super::{BOTH, PLAIN, argument, connected, notes, refused, send, state, with_options};
use test_support::{Seen, new_base, poll, precise_base, run};

#[test]
fn below_the_read_low_mark_only_the_end_is_reported() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.set_watermark(Event::READ, 5, 0).unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hell");
    poll(&base);
    assert!(seen.take().is_empty());
    send(&peer, "o");
    poll(&base);
    assert_eq!(seen.take(), ["read hello"]);
    send(&peer, "wor");
    poll(&base);
    bev.set_watermark(Event::READ, 1, 0).unwrap();
    poll(&base);
    assert!(
        seen.take().is_empty(),
        "what is there already is not announced"
    );
    drop(peer);
    run(&base);
    assert_eq!(seen.take(), ["event 17"]);
    assert_eq!(bev.input().length(), 3);
}

#[test]
fn at_the_read_high_mark_reading_stops_and_below_it_resumes() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.set_watermark(BOTH, 0, 4).unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello world");
    let mut all = String::new();
    for part in ["hell", "o wo", "rld"] {
        assert_eq!(poll(&base), LoopEnd::Passed);
        poll(&base);
        assert_eq!(bev.input().length(), part.len());
        all += &super::text(bev.read(9).unwrap());
    }
    assert_eq!(all, "hello world");
    bev.set_watermark(Event::READ, 0, 0).unwrap();
    send(&peer, "no limit any more");
    poll(&base);
    assert_eq!(bev.input().length(), 17);
}

/// libevent's way: as documented, the loop does not rest.
#[test]
fn a_callback_that_leaves_the_high_mark_is_called_again_and_again() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    let note = seen.clone();
    bev.set_callbacks(Callbacks::new().on_read(move |bev| {
        note.note(bev.input().length());
        if note.len() == 5 {
            assert!(bev.read(9).unwrap().is_some());
        }
    }))
    .unwrap();
    bev.set_watermark(Event::READ, 0, 4).unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    while seen.len() < 6 {
        poll(&base);
    }
    assert_eq!(seen.take(), [4, 4, 4, 4, 4, 1]);
}

#[test]
fn without_a_read_callback_a_full_input_does_not_spin() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    bev.set_callbacks(Callbacks::new().on_event(|_, _| ()))
        .unwrap();
    bev.set_watermark(Event::READ, 0, 4).unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello world");
    poll(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(bev.input().length(), 4);
}

#[test]
fn contradictory_marks_are_refused_and_huge_ones_are_no_limit() {
    let base = new_base();
    let (bev, peer) = connected(&base);
    refused(
        bev.set_watermark(BOTH, 5, 4),
        argument,
        "low mark 5 above high mark 4",
    );
    refused(
        bev.set_watermark(BOTH, usize::MAX, 1),
        argument,
        "high mark 1",
    );
    bev.set_watermark(BOTH, 4, 4).unwrap();
    bev.set_watermark(BOTH, usize::MAX, 0).unwrap();
    bev.set_watermark(BOTH, 0, usize::MAX).unwrap();
    bev.set_watermark(BOTH, usize::MAX, usize::MAX).unwrap();
    bev.set_watermark(Event::READ, 0, isize::MAX as usize + 1)
        .unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    poll(&base);
    assert_eq!(bev.input().length(), 5);
}

/// A base with three priorities.
fn prioritized() -> EventBase {
    let base = new_base();
    base.priority_init(3).unwrap();
    base
}

#[test]
fn urgent_priorities_run_first() {
    let base = prioritized();
    let seen = Seen::new();
    let all = [2, 0, 1].map(|priority| {
        let (bev, peer) = connected(&base);
        let note = seen.clone();
        bev.set_callbacks(Callbacks::new().on_read(move |bev| {
            note.note(bev.priority().unwrap());
            bev.disable(Event::READ).unwrap();
        }))
        .unwrap();
        assert_eq!(bev.priority().unwrap(), 1);
        bev.set_priority(priority).unwrap();
        bev.enable(Event::READ).unwrap();
        send(&peer, "x");
        (bev, peer)
    });
    run(&base);
    assert_eq!(seen.take(), [0, 1, 2]);
    drop(all);
}

#[test]
fn priorities_that_the_base_lacks_are_refused() {
    let base = prioritized();
    let (bev, _peer) = connected(&base);
    for priority in [-1, 3, i32::MAX, i32::MIN] {
        refused(bev.set_priority(priority), argument, "of 3");
    }
    bev.set_priority(2).unwrap();
    refused(base.priority_init(2), argument, "priority 2");
    let plain = new_base();
    let _makes_events_of_the_middle = with_options(&prioritized(), PLAIN);
    let (bev, _peer) = connected(&plain);
    refused(bev.set_priority(1), argument, "of 1");
}

#[test]
fn the_base_keeps_the_priority_that_a_deferred_callback_was_made_with() {
    let base = new_base();
    base.priority_init(5).unwrap();
    let unconnected = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
    refused(base.priority_init(2), argument, "priority 2");
    drop(unconnected);
}

#[test]
fn a_new_descriptor_keeps_the_priority() {
    let base = prioritized();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bev = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
    bev.set_priority(2).unwrap();
    bev.connect(&listener.local_addr().unwrap().to_string())
        .unwrap();
    assert_eq!(bev.priority().unwrap(), 2);
    run(&base);
    bev.set_priority(0).unwrap();
    bev.close().unwrap();
    assert_eq!(bev.priority().unwrap(), 0);
}

/// libevent would take a queued callback out of another queue than it is in.
#[test]
fn the_priority_is_fixed_while_a_callback_may_be_queued() {
    let base = prioritized();
    let defer = EventBufferEvent::OPT_DEFER_CALLBACKS;
    let (bev, peer) = with_options(&base, defer);
    bev.set_priority(2).unwrap();
    let seen = Seen::new();
    let (note, stop) = (seen.clone(), base.clone());
    bev.set_callbacks(Callbacks::new().on_read(move |_| note.note("read")))
        .unwrap();
    bev.set_priority(0).unwrap();
    bev.enable(Event::READ).unwrap();
    refused(bev.set_priority(1), state, "right after making it");
    send(&peer, "x");
    let urgent = Event::timer(&base, move |_| stop.stop().unwrap()).unwrap();
    urgent.set_priority(0).unwrap();
    urgent.add(Some(Duration::ZERO)).unwrap();
    run(&base);
    refused(bev.set_priority(1), state, "right after making it");

    let (marked, _peer) = connected(&base);
    marked.set_watermark(Event::READ, 0, 9).unwrap();
    refused(marked.set_priority(0), state, "right after making it");
    let (written, _peer) = with_options(&base, defer);
    written.output().add("x").unwrap();
    refused(written.set_priority(0), state, "right after making it");
}

fn elapsed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

#[test]
fn a_rate_limit_slows_writing_until_it_is_removed() {
    let base = precise_base();
    let (bev, peer) = connected(&base);
    let slow = RateLimit::new()
        .write(1000, 1000)
        .tick(Duration::from_millis(20));
    bev.set_rate_limit(Some(slow)).unwrap();
    bev.write(vec![b'x'; 5000]).unwrap();
    let time = elapsed(|| assert_eq!(run(&base), LoopEnd::NoEvents));
    assert!(time >= Duration::from_millis(60), "{time:?}"); // 5 ticks, the first of them begun
    assert_eq!(super::got(&peer).len(), 5000);
    bev.set_rate_limit(Some(slow.write(1, 1))).unwrap();
    bev.set_rate_limit(None).unwrap();
    bev.write(vec![b'x'; 5000]).unwrap();
    run(&base);
    assert_eq!(super::got(&peer).len(), 5000);
}

#[test]
fn a_rate_limit_slows_reading() {
    let base = precise_base();
    let (bev, peer) = connected(&base);
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    let slow = RateLimit::new().read(2, 4).tick(Duration::from_millis(10));
    bev.set_rate_limit(Some(slow)).unwrap();
    bev.enable(Event::READ).unwrap();
    send(&peer, "hello");
    drop(peer);
    let time = elapsed(|| assert_eq!(run(&base), LoopEnd::NoEvents));
    assert!(time >= Duration::from_millis(10), "{time:?}");
    let seen = seen.take();
    assert!(seen.len() >= 3, "{seen:?}");
    assert!(
        seen.iter().all(|note| note.len() <= "read ".len() + 4),
        "{seen:?}"
    );
}

/// A millisecond or less libevent would divide by, and a long one it cannot count.
#[test]
fn impossible_limits_are_refused() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    let fine = RateLimit::new();
    for (limit, words) in [
        (fine.read(0, isize::MAX as usize), "at least 1"),
        (fine.write(0, isize::MAX as usize), "at least 1"),
        (fine.read(2, 1), "at most its burst"),
        (
            fine.write(isize::MAX as usize, usize::MAX),
            "at most its burst",
        ),
        (fine.tick(Duration::ZERO), "one millisecond"),
        (fine.tick(Duration::from_micros(999)), "one millisecond"),
        (fine.tick(Duration::from_secs(4_294_968)), "one day"),
        (fine.tick(Duration::MAX), "one day"),
    ] {
        refused(bev.set_rate_limit(Some(limit)), argument, words);
    }
    bev.set_rate_limit(Some(fine)).unwrap();
    bev.set_rate_limit(Some(fine.tick(Duration::from_secs(86_400))))
        .unwrap();
}

#[test]
fn an_exhausted_limit_is_freed_with_its_object() {
    let base = new_base();
    for inside in [false, true] {
        let (bev, peer) = connected(&base);
        let tiny = RateLimit::new().read(1, 1);
        bev.set_rate_limit(Some(tiny)).unwrap();
        let seen = Rc::new(std::cell::Cell::new(0));
        let count = seen.clone();
        bev.set_callbacks(Callbacks::new().on_read(move |bev| {
            count.set(count.get() + 1);
            if inside {
                bev.set_rate_limit(Some(tiny)).unwrap();
                bev.set_rate_limit(None).unwrap();
                bev.set_rate_limit(Some(tiny)).unwrap();
                bev.free();
            }
        }))
        .unwrap();
        bev.enable(Event::READ).unwrap();
        send(&peer, "hello");
        poll(&base);
        assert_eq!(seen.get(), 1);
        drop(bev);
        assert_eq!(run(&base), LoopEnd::NoEvents);
    }
}

#[test]
fn a_limit_works_without_cached_time() {
    let config = EventConfig::new().unwrap();
    config.set_flags(EventBase::NO_CACHE_TIME).unwrap();
    let base = EventBase::with_config(&config).unwrap();
    let (bev, peer) = connected(&base);
    let slow = RateLimit::new().write(3, 3).tick(Duration::from_millis(1));
    bev.set_rate_limit(Some(slow)).unwrap();
    bev.write("hello").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(super::got(&peer), "hello");
}
