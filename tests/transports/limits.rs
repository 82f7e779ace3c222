//! Watermarks, priorities, rate limits.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use php_event::{Callbacks, Error, Event, EventBufferEvent, Filters, RateLimit};
use test_support::{Seen, run};

use super::{ALL, BOTH, EOF, Link, PLAIN, Transport, event, notes, refused, text};

#[test]
fn below_the_read_low_mark_only_the_end_is_reported() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(notes(&seen)).unwrap();
        link.near.set_watermark(Event::READ, 5, 0).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("hell");
        link.settle();
        assert!(seen.take().is_empty(), "{transport:?}");
        link.send("o");
        link.settle();
        assert_eq!(seen.take(), ["read hello"], "{transport:?}");
        link.send("wor");
        link.settle();
        link.near.set_watermark(Event::READ, 1, 0).unwrap();
        link.settle();
        assert!(seen.take().is_empty(), "{transport:?}");
        link.end();
        link.settle();
        let mut seen = seen.take();
        assert_eq!(seen.pop(), Some(event(EOF)), "{transport:?}");
        // The end of a pair ignores the marks.
        assert_eq!(
            seen.is_empty(),
            transport != Transport::Pair,
            "{transport:?}"
        );
    }
}

#[test]
fn reading_stops_at_the_high_mark_and_resumes_below_it() {
    for transport in ALL {
        let link = Link::new(transport);
        link.near.set_watermark(Event::READ, 0, 4).unwrap();
        link.near.enable(Event::READ).unwrap();
        let (mut all, sent) = (String::new(), "hello world".repeat(2_000));
        link.send(&sent);
        while all.len() < sent.len() {
            link.until(|| link.near.input().length() > 0);
            // A TLS record is decrypted as a whole.
            let most = if transport.is_tls() { 16_384 + 4 } else { 4 };
            let length = link.near.input().length();
            assert!(length <= most, "{transport:?}: {length}");
            all += &text(
                link.near
                    .read(if transport.is_tls() { 3_000 } else { 3 })
                    .unwrap(),
            );
        }
        assert!(all == sent, "{transport:?}");
        link.near.set_watermark(Event::READ, 0, 0).unwrap();
        link.send("no limit any more");
        link.until(|| link.near.input().length() == 17);
    }
}

#[test]
fn full_input_without_a_read_callback_lets_the_loop_rest() {
    for transport in ALL {
        let link = Link::new(transport);
        let events = Callbacks::new().on_event(|_, _| ());
        link.near.set_callbacks(events).unwrap();
        link.near.set_watermark(Event::READ, 0, 4).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("hello world");
        link.settle();
        assert!(link.near.input().length() >= 4, "{transport:?}");
        let waits = link.far.output().length() > 0;
        assert_eq!(waits, transport == Transport::Pair, "{transport:?}");
    }
}

#[test]
fn contradictory_marks_are_refused_and_huge_ones_are_none() {
    for transport in ALL {
        let link = Link::new(transport);
        for (low, high) in [(5, 4), (usize::MAX, 1)] {
            let error = link.near.set_watermark(BOTH, low, high).unwrap_err();
            assert!(matches!(error, Error::Argument { .. }), "{transport:?}");
        }
        link.near.set_watermark(BOTH, 4, 4).unwrap();
        link.near.set_watermark(BOTH, usize::MAX, 0).unwrap();
        link.near
            .set_watermark(BOTH, usize::MAX, usize::MAX)
            .unwrap();
        link.near.set_watermark(BOTH, 0, usize::MAX).unwrap();
        link.near.enable(BOTH).unwrap();
        link.send("hello");
        link.until(|| link.near.input().length() == 5);
    }
}

#[test]
fn priority_and_rate_limit_are_for_plain_sockets() {
    for transport in ALL {
        let link = Link::new(transport);
        let plain = matches!(transport, Transport::UnixSockets | Transport::Tcp);
        let priority = link.near.set_priority(0);
        let limit = link.near.set_rate_limit(Some(RateLimit::new()));
        if plain {
            priority.unwrap();
            limit.unwrap();
        } else {
            refused(priority, "priority", transport);
            refused(limit, "limited", transport);
        }
        assert_eq!(link.near.priority().unwrap(), 0, "{transport:?}");
        link.near.write("hello").unwrap();
        link.until(|| link.received() == 5);
        link.near.free();
        link.far.free();
        run(&link.base);
    }
}

#[test]
fn read_callback_that_leaves_the_input_full_rests_until_the_next_turn() {
    for transport in ALL {
        let link = Link::new(transport);
        let (calls, takes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (count, all) = (calls.clone(), takes.clone());
        let leaves = Callbacks::new().on_read(move |bev| {
            count.set(count.get() + 1);
            bev.read(all.get()).unwrap();
        });
        link.near.set_callbacks(leaves).unwrap();
        link.near.set_watermark(Event::READ, 0, 10).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send([b'x'; 200]);
        link.until(|| calls.get() > 0); // which needs the loop to come back
        let before = calls.get();
        link.settle();
        assert!(
            (5..50).contains(&(calls.get() - before)),
            "{transport:?}: {}",
            calls.get()
        );
        assert!(
            link.near.get_enabled().unwrap().contains(Event::READ),
            "{transport:?}"
        );

        link.near.disable(Event::READ).unwrap();
        link.settle();
        let before = calls.get();
        link.settle();
        assert_eq!(calls.get(), before, "{transport:?}");
        assert!(
            !link.near.get_enabled().unwrap().contains(Event::READ),
            "{transport:?}"
        );

        takes.set(usize::MAX);
        link.near.read(usize::MAX).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("y");
        link.until(|| calls.get() > before);
        link.settle();
        assert_eq!(link.near.input().length(), 0, "{transport:?}");
    }
}

#[test]
fn input_that_is_full_under_a_filter_that_does_not_read_lets_the_loop_come_back() {
    for transport in ALL {
        let link = Link::new(transport);
        link.near.set_watermark(Event::READ, 0, 10).unwrap();
        let filters = Filters::new();
        let filter = EventBufferEvent::create_filter(&link.near, filters, PLAIN).unwrap();
        filter.enable(Event::READ).unwrap();
        filter.set_watermark(Event::READ, 0, 5).unwrap();
        link.send([b'x'; 200]);
        link.settle();
        filter.disable(Event::READ).unwrap();
        link.settle();
        assert!(filter.input().length() >= 5, "{transport:?}");
    }
}

#[test]
fn timeouts_taken_away_while_nothing_waits_are_gone() {
    let short = Some(Duration::from_millis(20));
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.set_callbacks(noting_events(&seen)).unwrap();
        link.near.set_timeouts(short, short).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.near.write("hello").unwrap();
        link.until(|| link.received() == 5 && link.near.output().length() == 0);
        link.near.disable(Event::READ).unwrap();
        seen.take();
        // Neither direction is waited for now.
        link.near.set_timeouts(None, None).unwrap();
        link.near.enable(BOTH).unwrap();
        link.send("x");
        link.stop_reading();
        link.near.write(vec![1; 4 << 20]).unwrap();
        link.base.exit(Some(Duration::from_millis(100))).unwrap();
        run(&link.base);
        assert!(seen.take().is_empty(), "{transport:?}");
    }
}

fn noting_events(seen: &Seen<String>) -> Callbacks {
    let seen = seen.clone();
    Callbacks::new().on_event(move |_, what| seen.note(event(what)))
}
