//! Filters with closures on top of every transport.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use php_event::{
    Callbacks, Event, EventBase, EventBuffer, EventBufferEvent, EventFlags, EventSslContext,
    FilterResult, Filters, FlushMode, LoopEnd,
};
use test_support::Seen;

use super::{ALL, BOTH, EOF, Link, PLAIN, event, notes, refused, text};

/// Passes everything through `turn`.
fn turning(
    turn: fn(&[u8]) -> Vec<u8>,
) -> impl FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult + 'static {
    move |source, destination, _limit, _mode| match source.read(4096).unwrap() {
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

fn on(link: &Link, filters: Filters) -> EventBufferEvent {
    EventBufferEvent::create_filter(&link.near, filters, PLAIN).unwrap()
}

#[test]
fn bytes_pass_through_the_closures_both_ways() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let filter = on(&link, up());
        filter.set_callbacks(notes(&seen)).unwrap();
        filter.enable(Event::READ).unwrap();
        link.send("hello");
        link.until(|| seen.len() > 0);
        assert_eq!(seen.take(), ["read HELLO"], "{transport:?}");
        filter.write("WORLD").unwrap();
        link.until(|| link.received() == 5);
        assert_eq!(link.got(), "world", "{transport:?}");
        seen.take();
        link.end();
        link.settle();
        assert_eq!(seen.take(), [event(EOF)], "{transport:?}");
    }
}

/// So many filters on top of each other.
fn stack(link: &Link, filters: usize) -> EventBufferEvent {
    let mut top = link.near.clone();
    for _ in 0..filters {
        top = EventBufferEvent::create_filter(&top, up(), PLAIN).unwrap();
    }
    top
}

#[test]
fn an_end_is_reported_once_whatever_is_on_top_of_what() {
    type End = fn(&Link);
    let ends: [(&str, End); 4] = [
        ("ended", Link::end),
        ("half closed, then ended", |link| {
            link.half_close();
            link.settle();
            link.end();
        }),
        ("half closed, then broken", |link| {
            link.half_close();
            link.settle();
            link.cut();
        }),
        ("broken", Link::cut),
    ];
    for transport in ALL {
        for filters in 0..3 {
            for (name, end) in ends {
                if transport.is_on_pair() && name == "broken" {
                    continue; // a pair cannot break
                }
                let (link, seen) = (Link::new(transport), Seen::new());
                let top = stack(&link, filters);
                let note = seen.clone();
                let callbacks = Callbacks::new()
                    .on_read(|bev| drop(bev.read(99).unwrap()))
                    .on_event(move |_, what| note.note(what));
                top.set_callbacks(callbacks).unwrap();
                top.enable(BOTH).unwrap();
                link.send("some bytes before the end");
                link.settle();
                end(&link);
                link.settle();
                assert_eq!(
                    link.base.r#loop(EventBase::LOOP_ONCE).unwrap(),
                    LoopEnd::NoEvents
                );
                let context = format!("{transport:?}, {filters} filters, {name}");
                let seen = seen.take();
                assert_eq!(seen.len(), 1, "{context}: {seen:?}");
                match name {
                    "broken" => {
                        let ends = EventBufferEvent::ERROR | EventBufferEvent::EOF;
                        assert!(seen[0].intersects(ends), "{context}: {seen:?}");
                    }
                    _ => assert_eq!(seen, [EOF], "{context}"),
                }
                assert_eq!(
                    top.get_enabled().unwrap() & Event::READ,
                    EventFlags::empty(),
                    "{context}"
                );
            }
        }
    }
}

#[test]
fn dirty_shutdown_is_allowed_below_a_filter_too() {
    for transport in ALL {
        if !transport.is_tls() || transport.is_on_pair() {
            continue;
        }
        for filters in 0..3 {
            for allowed in [false, true] {
                let (link, seen) = (Link::new(transport), Seen::new());
                link.near.set_allow_ssl_dirty_shutdown(allowed).unwrap();
                let top = stack(&link, filters);
                let note = seen.clone();
                let events = Callbacks::new().on_event(move |_, what| note.note(what));
                top.set_callbacks(events).unwrap();
                top.enable(Event::READ).unwrap();
                link.shut_down(std::net::Shutdown::Write);
                link.until(|| seen.len() > 0);
                link.settle();
                let end = match allowed {
                    true => EventBufferEvent::EOF,
                    false => EventBufferEvent::ERROR,
                };
                let seen = seen.take();
                let context = format!("{transport:?}, {filters} filters, {allowed}: {seen:?}");
                assert!(seen.len() == 1 && seen[0].contains(end), "{context}");
                let reason = link.near.ssl_error().unwrap();
                assert_eq!(reason.is_some(), !allowed, "{context}: {reason:?}");
            }
        }
    }
}

#[test]
fn bytes_that_a_high_mark_keeps_below_come_before_and_after_the_end() {
    for transport in ALL {
        let (link, got) = (Link::new(transport), Rc::new(RefCell::new(String::new())));
        let (filter, ends) = (stack(&link, 1), Rc::new(Cell::new(0)));
        let (all, count) = (got.clone(), ends.clone());
        let callbacks = Callbacks::new()
            .on_read(move |bev| all.borrow_mut().push_str(&text(bev.read(1).unwrap())))
            .on_event(move |_, _| count.set(count.get() + 1));
        filter.set_callbacks(callbacks).unwrap();
        filter.set_watermark(Event::READ, 0, 1).unwrap();
        filter.enable(Event::READ).unwrap();
        link.send("one two three");
        link.half_close();
        link.until(|| got.borrow().len() == 13);
        link.settle();
        assert_eq!(
            (got.take().as_str(), ends.get()),
            ("ONE TWO THREE", 1),
            "{transport:?}"
        );
    }
}

#[test]
fn tls_is_not_put_on_a_filter_with_closures() {
    for transport in ALL {
        let link = Link::new(transport);
        let options = [(EventSslContext::OPT_VERIFY_PEER, false.into())];
        let context = EventSslContext::new(EventSslContext::TLS_CLIENT_METHOD, &options).unwrap();
        let client = EventBufferEvent::SSL_CONNECTING;
        let tls = EventBufferEvent::create_ssl_filter(&stack(&link, 1), &context, client, PLAIN);
        refused(tls, "would run inside OpenSSL", transport);
    }
}

#[test]
fn closure_that_waits_for_more_gets_it_with_what_it_left() {
    for transport in ALL {
        let link = Link::new(transport);
        let whole = Filters::new().on_input(|source, destination, _, _| {
            if source.length() < 5 {
                return FilterResult::NeedMore;
            }
            destination.append_from(source, 5).unwrap();
            FilterResult::Ok
        });
        let filter = on(&link, whole);
        filter.enable(Event::READ).unwrap();
        link.send("hel");
        link.settle();
        assert_eq!(filter.input().length(), 0, "{transport:?}");
        link.send("lo wor");
        link.until(|| filter.input().length() > 0);
        assert_eq!(text(filter.read(99).unwrap()), "hello", "{transport:?}");
    }
}

#[test]
fn enabling_moves_what_waits_already() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        link.near.enable(Event::READ).unwrap();
        link.send("early");
        link.until(|| link.near.input().length() == 5);
        let filter = on(&link, up());
        filter.set_callbacks(notes(&seen)).unwrap();
        filter.disable(Event::WRITE).unwrap();
        filter.write("LATE").unwrap();
        link.settle();
        assert!(seen.take().is_empty(), "{transport:?}");
        filter.enable(BOTH).unwrap();
        link.until(|| link.received() == 4);
        assert_eq!(seen.take(), ["write", "read EARLY"], "{transport:?}");
        assert_eq!(link.got(), "late", "{transport:?}");
    }
}

#[test]
fn error_ends_its_direction() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let failing = Filters::new().on_input(|_, _, _, _| FilterResult::Error);
        let filter = on(&link, failing);
        filter.set_callbacks(notes(&seen)).unwrap();
        filter.enable(Event::READ).unwrap();
        link.send("nonsense");
        link.settle();
        let error = EventBufferEvent::READING | EventBufferEvent::ERROR;
        assert_eq!(seen.take(), [event(error)], "{transport:?}");
        assert_eq!(filter.get_enabled().unwrap(), Event::WRITE, "{transport:?}");
    }
}

#[test]
fn write_callback_may_write_the_next_piece() {
    for transport in ALL {
        let link = Link::new(transport);
        let filter = on(&link, up());
        let left = Rc::new(Cell::new(1000));
        let count = left.clone();
        let writes = Callbacks::new().on_write(move |bev| {
            if count.get() > 0 {
                count.set(count.get() - 1);
                bev.write("CHUNK").unwrap();
            }
        });
        filter.set_callbacks(writes).unwrap();
        filter.write("CHUNK").unwrap();
        link.until(|| link.received() == 1001 * 5);
        assert_eq!(link.got(), "chunk".repeat(1001), "{transport:?}");
    }
}

#[test]
fn bytes_kept_back_by_the_high_mark_come_after_it() {
    for transport in ALL {
        for at_once in [1, 4, 99] {
            let (link, seen) = (Link::new(transport), Seen::new());
            let note = seen.clone();
            let filter = on(&link, Filters::new());
            let reads = Callbacks::new().on_read(move |bev| {
                note.note(text(bev.read(at_once).unwrap()));
            });
            filter.set_callbacks(reads).unwrap();
            filter.set_watermark(Event::READ, 0, 4).unwrap();
            filter.enable(Event::READ).unwrap();
            link.send("one two three");
            link.settle();
            let seen = seen.take().concat();
            let is_start = "one two three".starts_with(&seen);
            assert!(is_start && seen.len() > 9, "{transport:?} {seen:?}");
        }
    }
}

#[test]
fn flush_moves_nothing_through_a_freed_filter() {
    for transport in ALL {
        for filters in [Filters::new, up] {
            let link = Link::new(transport);
            link.near.enable(Event::READ).unwrap();
            link.send("hello");
            link.until(|| link.near.input().length() > 0);
            let middle = on(&link, filters());
            let top = EventBufferEvent::create_filter(&middle, Filters::new(), PLAIN).unwrap();
            middle.free();
            top.write("lost").unwrap();
            for mode in [FlushMode::Flush, FlushMode::Finished] {
                assert!(!top.flush(BOTH, mode).unwrap(), "{transport:?}");
            }
            link.settle();
            assert_eq!(link.near.input().length(), 5, "{transport:?}");
            assert_eq!(link.received(), 0, "{transport:?}");
        }
    }
}

#[test]
fn the_end_of_a_filter_moves_nothing_through_a_freed_one() {
    for transport in ALL {
        let link = Link::new(transport);
        let low = on(&link, Filters::new());
        let middle = EventBufferEvent::create_filter(&low, Filters::new(), PLAIN).unwrap();
        let closes = EventBufferEvent::OPT_CLOSE_ON_FREE;
        let top = EventBufferEvent::create_filter(&middle, Filters::new(), closes).unwrap();
        middle.disable(Event::WRITE).unwrap(); // so that something waits in it
        low.free(); // what is under it belongs to the user again
        top.write("lost").unwrap();
        top.free();
        link.settle();
        assert_eq!(link.received(), 0, "{transport:?}");
    }
}

/// Taking bytes out of a full filter has its closure run inside of a call of libevent's that does not
/// check its allocations.
// Skipped under ASan: it ends the process where so much memory is asked for.
#[test]
fn allocation_that_fails_in_a_closure_is_an_error_wherever_it_runs() {
    const MARK: usize = 10;
    let refusals = Rc::new(Cell::new(0));
    for transport in ALL {
        let link = Link::new(transport);
        let count = Rc::clone(&refusals);
        let filter = on(
            &link,
            Filters::new().on_input(move |source, destination, limit, _| {
                if EventBuffer::new().unwrap().expand(1 << 46).is_err() {
                    count.set(count.get() + 1);
                }
                let most = limit.unwrap_or(usize::MAX);
                destination.append_from(source, most).unwrap();
                FilterResult::Ok
            }),
        );
        filter.set_watermark(Event::READ, 0, MARK).unwrap();
        filter.enable(Event::READ).unwrap();
        link.send([b'x'; 10 * MARK]);
        link.until(|| filter.input().length() == MARK);
        let before = refusals.replace(0);
        assert!(before > 0);
        let taken = EventBuffer::new().unwrap();
        taken.append_from(&filter.input(), MARK / 2).unwrap();
        assert!(refusals.get() > 0, "{transport:?}: the closure did not run");
    }
}
