//! Filters on top of what is at its read high mark.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::rc::Rc;

use php_event::{
    Callbacks, Event, EventBuffer, EventBufferEvent, FilterResult, Filters, FlushMode,
};

use super::{ALL, Link, PLAIN, Transport};

/// The high mark below the filter.
const MARK: usize = 100;
/// How much the peer sends: the mark many times over.
const SENT: usize = 2_000;

/// Moves what it may.
fn moving() -> Filters {
    Filters::new().on_input(|source, destination, limit, _| {
        let most = limit.unwrap_or(usize::MAX).min(source.length());
        destination.append_from(source, most).unwrap();
        FilterResult::Ok
    })
}

/// A filter of some kind on top of the transport, and what is under it, with its mark set.
struct Stack {
    name: &'static str,
    link: Link,
    top: EventBufferEvent,
    under: EventBufferEvent,
}

/// Every stack over every transport.
fn stacks() -> impl Iterator<Item = Stack> {
    ALL.into_iter()
        .flat_map(|transport| (0..5).map(move |kind| stack(transport, kind)))
}

fn stack(transport: Transport, kind: usize) -> Stack {
    let (link, under) = Link::with_under(transport);
    let near = &link.near;
    let on = |under: &EventBufferEvent, filters| {
        EventBufferEvent::create_filter(under, filters, PLAIN).unwrap()
    };
    let (name, top, under) = match (kind, under) {
        (0, Some(under)) => ("TLS", near.clone(), under),
        (0 | 1, _) => ("no closure", on(near, Filters::new()), near.clone()),
        (2, _) => ("a closure", on(near, moving()), near.clone()),
        (3, _) => {
            let under = on(near, Filters::new());
            ("two filters", on(&under, Filters::new()), under)
        }
        _ => {
            let under = on(near, moving());
            ("two filters with closures", on(&under, moving()), under)
        }
    };
    under.set_watermark(Event::READ, 0, MARK).unwrap();
    Stack {
        name,
        link,
        top,
        under,
    }
}

#[test]
fn loop_rests_while_a_filter_takes_nothing_from_what_is_full() {
    for is_full in [false, true] {
        for stack in stacks() {
            let Stack {
                link, top, under, ..
            } = &stack;
            if is_full {
                top.set_watermark(Event::READ, 0, 10).unwrap();
                top.enable(Event::READ).unwrap();
            } else {
                under.enable(Event::READ).unwrap();
            }
            link.send([b'x'; SENT]);
            if is_full {
                link.until(|| top.input().length() >= 10);
            }
            link.rests(&format!("{}, full: {is_full}", stack.name));
        }
    }
}

/// The topmost of so many filters on the transport, or what they would be on.
fn pile(link: &Link, filters: usize) -> EventBufferEvent {
    (0..filters).fold(link.near.clone(), |under, _| {
        EventBufferEvent::create_filter(&under, moving(), PLAIN).unwrap()
    })
}

/// A filter that takes nothing, on top of so many others.
fn refusing(link: &Link, others: usize) -> (EventBufferEvent, EventBufferEvent) {
    let refuses = Filters::new().on_input(|_, _, _, _| FilterResult::NeedMore);
    let under = pile(link, others);
    let top = EventBufferEvent::create_filter(&under, refuses, PLAIN).unwrap();
    under.set_watermark(Event::READ, 0, MARK).unwrap();
    top.enable(Event::READ).unwrap();
    (top, under)
}

#[test]
fn loop_rests_while_a_closure_wants_more_than_fits_below() {
    for transport in ALL {
        for others in 0..2 {
            let link = Link::new(transport);
            let (_top, under) = refusing(&link, others);
            link.send([b'x'; SENT]);
            link.until(|| under.input().length() >= MARK);
            link.rests("a closure that takes nothing");
        }
    }
}

#[test]
fn all_comes_though_it_is_read_outside_of_callbacks() {
    for (mark, at_once) in [(0, SENT), (0, 30), (10, SENT), (10, 3), (3 * MARK, 30)] {
        for stack in stacks() {
            let Stack { link, top, .. } = &stack;
            top.set_watermark(Event::READ, 0, mark).unwrap();
            top.enable(Event::READ).unwrap();
            link.send([b'x'; SENT]);
            let got = Cell::new(0);
            link.until(|| {
                while let Some(bytes) = top.read(at_once).unwrap() {
                    got.set(got.get() + bytes.len());
                }
                got.get() == SENT
            });
            link.rests(&format!("{}, mark {mark}, {at_once} at once", stack.name));
        }
    }
}

/// OpenSSL keeps what it has decrypted, and the socket is not readable for that.
#[test]
fn all_of_a_large_record_comes() {
    for Stack {
        name,
        link,
        top,
        under,
    } in stacks()
    {
        under.set_watermark(Event::READ, 0, 1_000).unwrap();
        top.set_watermark(Event::READ, 0, 1_000).unwrap();
        top.enable(Event::READ).unwrap();
        link.send([b'x'; 16_000]);
        let mut got = 0;
        for _ in 0..200 {
            link.turn();
            got += top.read(usize::MAX).unwrap().unwrap_or_default().len();
        }
        assert_eq!(got, 16_000, "{:?}, {name}", link.transport);
    }
}

#[test]
fn all_comes_when_the_top_reads_late() {
    for Stack {
        link, top, under, ..
    } in stacks()
    {
        under.enable(Event::READ).unwrap();
        link.send([b'x'; SENT]);
        link.settle();
        top.enable(Event::READ).unwrap();
        link.until(|| top.input().length() == SENT);
    }
}

#[test]
fn higher_mark_lets_in_what_waits_below() {
    for (mark, comes) in [(30, 30), (0, SENT)] {
        for Stack { link, top, .. } in stacks() {
            top.set_watermark(Event::READ, 0, 10).unwrap();
            top.enable(Event::READ).unwrap();
            link.send([b'x'; SENT]);
            link.settle();
            top.set_watermark(Event::READ, 0, mark).unwrap();
            link.until(|| top.input().length() >= comes);
        }
    }
}

#[test]
fn what_is_full_calls_back_when_the_filter_on_top_is_gone() {
    for transport in ALL {
        for others in 0..2 {
            let (link, calls) = (Link::new(transport), Rc::new(Cell::new(0)));
            let (top, under) = refusing(&link, others);
            let count = calls.clone();
            let reads = Callbacks::new().on_read(move |_| count.set(count.get() + 1));
            under.set_callbacks(reads).unwrap();
            link.send([b'x'; SENT]);
            link.until(|| under.input().length() >= MARK);
            link.rests("below a filter that takes nothing");
            assert_eq!(calls.get(), 0, "{transport:?}");
            top.free();
            link.until(|| calls.get() > 2);
        }
    }
}

/// As much comes in at once as the closure takes out.
#[test]
fn closure_gets_all_though_what_is_below_stays_full() {
    for transport in ALL {
        for others in 0..2 {
            let (link, read) = (Link::new(transport), Rc::new(Cell::new(0)));
            let under = pile(&link, others);
            under.set_watermark(Event::READ, 0, MARK).unwrap();
            let passed = read.clone();
            let counts = Filters::new().on_input(move |source, _, _, _| {
                passed.set(passed.get() + source.length());
                source.drain(source.length()).unwrap(); // nothing for the filter
                FilterResult::Ok
            });
            let filter = EventBufferEvent::create_filter(&under, counts, PLAIN).unwrap();
            filter.enable(Event::READ).unwrap();
            link.send([b'x'; SENT]);
            link.until(|| read.get() == SENT);
        }
    }
}

/// Otherwise libevent would call it for ever.
#[test]
fn closure_that_puts_back_what_it_took_is_not_called_again_at_once() {
    for transport in ALL {
        for mark in [0, 5] {
            let (link, calls) = (Link::new(transport), Rc::new(Cell::new(0)));
            let count = calls.clone();
            let looks = Filters::new().on_input(move |source, _, _, _| {
                count.set(count.get() + 1);
                let bytes = source.read(9).unwrap().unwrap();
                source.prepend(bytes).unwrap();
                FilterResult::Ok
            });
            link.near.set_watermark(Event::READ, 0, mark).unwrap();
            let filter = EventBufferEvent::create_filter(&link.near, looks, PLAIN).unwrap();
            filter.enable(Event::READ).unwrap();
            link.send("hello");
            link.until(|| calls.get() > 0);
            link.rests("a closure that puts back");
            assert_eq!(calls.get(), 1, "{transport:?}, mark {mark}");
        }
    }
}

/// The ways to put back what a closure has taken.
type PutBack = fn(&EventBuffer, &EventBufferEvent, Vec<u8>);

#[test]
fn closure_may_put_back_through_any_handle_and_change_nothing_last() {
    let ways: [(&str, PutBack); 3] = [
        ("its own", |source, _, bytes| source.prepend(bytes).unwrap()),
        ("another", |_, under, bytes| {
            under.input().prepend(bytes).unwrap()
        }),
        ("nothing last", |source, _, bytes| {
            source.prepend(bytes).unwrap();
            source.prepend("").unwrap();
        }),
    ];
    for transport in [Transport::UnixSockets, Transport::Tcp, Transport::Pair] {
        for (way, put_back) in ways {
            let (link, calls) = (Link::new(transport), Rc::new(Cell::new(0)));
            let (count, under) = (calls.clone(), link.near.clone());
            let looks = Filters::new().on_input(move |source, _, _, _| {
                count.set(count.get() + 1);
                put_back(source, &under, source.read(9).unwrap().unwrap());
                FilterResult::Ok
            });
            let filter = EventBufferEvent::create_filter(&link.near, looks, PLAIN).unwrap();
            filter.enable(Event::READ).unwrap();
            link.send("hello");
            link.until(|| calls.get() > 0);
            link.rests(way);
            assert_eq!(calls.get(), 1, "{transport:?}, {way}");
            filter.free(); // its closure has a handle of what is below
        }
    }
}

/// The ways to take all, whose last operation changes nothing.
type TakeAll = fn(&EventBuffer, &EventBufferEvent, &EventBuffer);

/// What comes in while a closure runs is not taken for what it has put back.
#[test]
fn bytes_that_come_while_a_closure_takes_all_are_not_forgotten() {
    let ways: [TakeAll; 2] = [
        |source, _, destination| {
            while let Some(bytes) = source.read(4096).unwrap() {
                destination.add(bytes).unwrap();
            }
        },
        |_, under, destination| {
            let mut room = [MaybeUninit::uninit(); 64];
            while under.input().length() > 0 {
                destination
                    .add(under.read_into(&mut room).unwrap())
                    .unwrap();
            }
            assert!(under.read_into(&mut room).unwrap().is_empty());
        },
    ];
    for (way, take_all) in ways.into_iter().enumerate() {
        for mark in [0, 5] {
            let (link, sends) = (Link::new(Transport::Pair), Rc::new(Cell::new(true)));
            let (far, under) = (link.far.clone(), link.near.clone());
            let takes = Filters::new().on_input(move |source, destination, _, _| {
                take_all(source, &under, destination);
                if sends.take() {
                    far.write("world").unwrap();
                }
                FilterResult::Ok
            });
            link.near.set_watermark(Event::READ, 0, mark).unwrap();
            let filter = EventBufferEvent::create_filter(&link.near, takes, PLAIN).unwrap();
            filter.enable(Event::READ).unwrap();
            link.send("hello");
            link.until(|| filter.input().length() == 10);
            link.rests(&format!("way {way}, mark {mark}"));
            filter.free(); // its closure has a handle of what is below
        }
    }
}

#[test]
fn loop_rests_though_a_closure_takes_out_and_puts_back() {
    for transport in ALL {
        for others in 0..3 {
            let link = Link::new(transport);
            let under = pile(&link, others);
            let looks = Filters::new().on_input(|source, _, _, _| {
                let bytes = source.read(SENT).unwrap().unwrap_or_default();
                source.prepend(bytes).unwrap();
                FilterResult::NeedMore
            });
            let top = EventBufferEvent::create_filter(&under, looks, PLAIN).unwrap();
            link.near.set_watermark(Event::READ, 0, MARK).unwrap();
            under.set_watermark(Event::READ, 0, MARK).unwrap();
            top.enable(Event::READ).unwrap();
            link.send([b'x'; SENT]);
            link.until(|| under.input().length() >= MARK);
            link.rests("a closure that puts all back");
        }
    }
}

#[test]
fn all_comes_though_the_peer_ends() {
    for (mark, frees) in [(0, false), (MARK, false), (10, false), (MARK, true)] {
        for stack in stacks() {
            let Stack { link, top, .. } = &stack;
            if frees && !link.transport.has_socket() {
                continue; // their end does not wait for what a mark keeps back
            }
            let got = Rc::new(Cell::new(0));
            let (count, rest) = (got.clone(), got.clone());
            let read = |got: &Cell<usize>, bev: &EventBufferEvent| {
                let bytes = bev.read(usize::MAX).unwrap().unwrap_or_default();
                got.set(got.get() + bytes.len());
            };
            let callbacks = Callbacks::new()
                .on_read(move |bev| read(&count, bev))
                .on_event(move |bev, _| {
                    read(&rest, bev);
                    if frees {
                        bev.free();
                    }
                });
            top.set_callbacks(callbacks).unwrap();
            top.set_watermark(Event::READ, 0, mark).unwrap();
            top.enable(Event::READ).unwrap();
            link.send([b'x'; SENT]);
            link.half_close();
            link.until(|| got.get() == SENT);
        }
    }
}

#[test]
fn what_waits_below_comes_when_the_filter_on_top_is_gone() {
    let link = Link::new(Transport::Pair);
    let on = |under| EventBufferEvent::create_filter(under, moving(), PLAIN).unwrap();
    let below = on(&link.near);
    let filter = on(&below);
    link.near.enable(Event::READ).unwrap();
    link.send([b'x'; SENT]);
    below.flush(Event::READ, FlushMode::Flush).unwrap();
    link.settle();
    assert_eq!((below.input().length(), filter.input().length()), (SENT, 0));
    on(&filter).free(); // libevent has enabled `filter` for it
    link.until(|| filter.input().length() == SENT);
}
