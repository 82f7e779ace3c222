//! Filters with closures on top of every transport.

use std::cell::Cell;
use std::rc::Rc;

use php_event::{
    Callbacks, Event, EventBuffer, EventBufferEvent, FilterResult, Filters, FlushMode,
};
use test_support::Seen;

use super::{ALL, BOTH, EOF, Link, PLAIN, event, notes, text};

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
        assert_eq!(seen.take()[0], event(EOF), "{transport:?}");
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
