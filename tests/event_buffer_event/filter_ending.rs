//! Filters that end: what takes their place, and what is under them.

use std::cell::{Cell, RefCell};
use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use php_event::{
    BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, FilterResult, Filters,
    LoopEnd,
};
use test_support::{Bomb, Drops, Owning, new_base, panic_of, poll, run};

use super::{PLAIN, connected, send, sockets, text};

const CLOSE: BufferEventOptions = EventBufferEvent::OPT_CLOSE_ON_FREE;

/// More than the sockets of a connection buffer.
const LARGE: usize = 8 << 20;

fn plain_filter(under: &EventBufferEvent, options: BufferEventOptions) -> EventBufferEvent {
    EventBufferEvent::create_filter(under, Filters::new(), options).unwrap()
}

/// When a filter is replaced: each is a moment at which libevent still holds the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    DeferredRead,
    Output,
    Write,
    Event,
}

#[test]
fn filter_that_takes_the_place_of_one_that_libevent_holds_gets_what_comes() {
    for when in [When::DeferredRead, When::Output, When::Write, When::Event] {
        let base = new_base();
        let (under, peer) = connected(&base);
        let (first, second) = (
            Rc::default(),
            Rc::<RefCell<Option<EventBufferEvent>>>::default(),
        );
        let got = Rc::new(RefCell::new(String::new()));
        let (below, new, all) = (under.clone(), second.clone(), got.clone());
        let replace = move |old: &EventBufferEvent| {
            if new.borrow().is_some() {
                return;
            }
            old.free();
            let filter = plain_filter(&below, PLAIN);
            let all = all.clone();
            let reads =
                move |bev: &EventBufferEvent| *all.borrow_mut() += &text(bev.read(99).unwrap());
            filter
                .set_callbacks(Callbacks::new().on_read(reads))
                .unwrap();
            filter.enable(Event::READ).unwrap();
            new.replace(Some(filter));
        };
        let own: Rc<RefCell<Option<EventBufferEvent>>> = Rc::clone(&first);
        let filters = match when {
            When::Output => {
                let replace = replace.clone();
                Filters::new().on_output(move |source, destination, _limit, _mode| {
                    destination.add_buffer(source).ok();
                    let own = own.borrow().clone();
                    own.inspect(|own| replace(own));
                    FilterResult::Ok
                })
            }
            _ => Filters::new(),
        };
        let options = match when {
            When::DeferredRead => EventBufferEvent::OPT_DEFER_CALLBACKS,
            _ => PLAIN,
        };
        let filter = EventBufferEvent::create_filter(&under, filters, options).unwrap();
        let callbacks = match when {
            When::DeferredRead => Callbacks::new().on_read(move |bev| replace(bev)),
            When::Write => Callbacks::new().on_write(move |bev| replace(bev)),
            When::Event => Callbacks::new().on_event(move |bev, _| replace(bev)),
            When::Output => Callbacks::new(),
        };
        filter.set_callbacks(callbacks).unwrap();
        first.replace(Some(filter.clone()));
        filter.enable(Event::READ).unwrap();
        match when {
            When::DeferredRead => send(&peer, "first"),
            When::Event => filter
                .set_timeouts(Some(Duration::from_millis(1)), None)
                .unwrap(),
            When::Output | When::Write => filter.write("go").unwrap(),
        }
        let begun = Instant::now();
        while second.borrow().is_none() && begun.elapsed() < Duration::from_secs(10) {
            poll(&base);
        }
        first.take();
        drop(filter);
        poll(&base);
        send(&peer, "second");
        while !got.borrow().ends_with("second") && begun.elapsed() < Duration::from_secs(10) {
            poll(&base);
        }
        assert!(
            got.borrow().ends_with("second"),
            "{when:?}: {:?}",
            got.borrow()
        );
    }
}

#[test]
fn filter_that_does_not_read_keeps_what_is_under_it_from_reading_after_another_ended() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let old = plain_filter(&under, EventBufferEvent::OPT_DEFER_CALLBACKS);
    let (below, second) = (
        under.clone(),
        Rc::<RefCell<Option<EventBufferEvent>>>::default(),
    );
    let new = second.clone();
    let replaces = Callbacks::new().on_read(move |bev| {
        bev.free();
        new.replace(Some(plain_filter(&below, PLAIN)));
    });
    old.set_callbacks(replaces).unwrap();
    old.enable(Event::READ).unwrap();
    send(&peer, "x");
    while second.borrow().is_none() {
        poll(&base);
    }
    peer.set_nonblocking(true).unwrap();
    let mut sent = 0;
    for _ in 0..500 {
        sent += std::io::Write::write(&mut &peer, &[0; 4096]).unwrap_or(0);
        poll(&base);
    }
    assert!(sent > 0);
    assert!(
        under.input().length() <= 3 * 4096,
        "{}",
        under.input().length()
    );
}

/// What carries the bytes of a filter that is freed in its write callback.
#[derive(Clone, Copy, Debug)]
enum Bottom {
    Socket,
    Pair,
}

/// The one that sends, with so many filters on top, and the one that reads. With `options` for
/// each filter; without handles of what is under them, if that does not end with them.
fn stack(
    base: &EventBase,
    bottom: Bottom,
    filters: usize,
    options: BufferEventOptions,
) -> (EventBufferEvent, EventBufferEvent) {
    let (mut top, reader) = match bottom {
        Bottom::Pair => EventBufferEvent::create_pair(base, PLAIN).unwrap(),
        Bottom::Socket => {
            let (one, other) = sockets();
            let make = |socket| EventBufferEvent::new(base, socket, PLAIN).unwrap();
            (make(one), make(other))
        }
    };
    for _ in 0..filters {
        top = plain_filter(&top, options);
    }
    (top, reader)
}

#[test]
fn filter_freed_when_all_is_written_loses_nothing() {
    for bottom in [Bottom::Socket, Bottom::Pair] {
        for filters in [0, 1, 2] {
            for options in [PLAIN, CLOSE] {
                let base = new_base();
                let (sender, reader) = stack(&base, bottom, filters, options);
                let got = Rc::new(Cell::new(0));
                let count = got.clone();
                let callbacks = Callbacks::new()
                    .on_read(move |bev| {
                        let bytes = bev.read(usize::MAX).unwrap().unwrap_or_default();
                        count.set(count.get() + bytes.len());
                        if count.get() == LARGE {
                            bev.free();
                        }
                    })
                    .on_event(|bev, _| bev.free());
                reader.set_callbacks(callbacks).unwrap();
                reader.enable(Event::READ).unwrap();
                let frees = Callbacks::new().on_write(|bev| bev.free());
                sender.set_callbacks(frees).unwrap();
                sender.write(vec![b'x'; LARGE]).unwrap();
                drop(sender.clone());
                assert_eq!(run(&base), LoopEnd::NoEvents);
                assert_eq!(
                    got.get(),
                    LARGE,
                    "{bottom:?}, {filters} filters, {options:?}"
                );
            }
        }
    }
}

/// A filter that was freed while what is under it had much to send, and its peer.
fn lingering(base: &EventBase) -> (EventBufferEvent, UnixStream) {
    let (under, peer) = connected(base);
    under
        .set_timeouts(None, Some(Duration::from_millis(20)))
        .unwrap();
    let filter = plain_filter(&under, CLOSE);
    filter.write(vec![b'x'; LARGE]).unwrap();
    filter.free();
    (under, peer)
}

#[test]
fn what_is_under_a_freed_filter_is_freed_for_its_handles_while_it_sends() {
    let base = new_base();
    let (under, _peer) = lingering(&base);
    assert!(under.write("more").is_err());
    assert_eq!((under.fd(), under.output().length()), (None, 0));
}

#[test]
fn what_is_under_a_freed_filter_ends_when_the_peer_does_not_read() {
    let base = new_base();
    let (_under, mut peer) = lingering(&base);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    let read = std::io::copy(&mut peer, &mut std::io::sink()).unwrap(); // up to the end
    assert!(read < LARGE as u64);
}

#[test]
fn what_is_under_a_freed_filter_ends_with_its_peer_and_with_its_base() {
    let (base, drops) = (new_base(), Drops::default());
    let (ours, peer) = sockets();
    let socket = Owning(ours, drops.token());
    let under = EventBufferEvent::new(&base, socket, PLAIN).unwrap();
    let filter = plain_filter(&under, CLOSE);
    filter.write(vec![b'x'; LARGE]).unwrap();
    filter.free();
    poll(&base);
    assert_eq!(drops.count(), 0);
    drop(peer);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(drops.count(), 1);

    for frees in [true, false] {
        let base = new_base();
        let (under, mut peer) = lingering(&base);
        if frees {
            base.free().unwrap();
        }
        drop((under, base));
        let read = std::io::copy(&mut peer, &mut std::io::sink()).unwrap();
        assert!(read < LARGE as u64);
    }
}

#[test]
fn a_panic_of_the_socket_that_sends_on_under_a_freed_filter_comes_out_of_the_loop() {
    let base = new_base();
    let (ours, peer) = sockets();
    let socket = Owning(ours, Bomb("the last of it"));
    let under = EventBufferEvent::new(&base, socket, PLAIN).unwrap();
    let filter = plain_filter(&under, CLOSE);
    filter.write(vec![b'x'; LARGE]).unwrap();
    filter.free();
    poll(&base);
    drop(peer);
    assert_eq!(panic_of(|| run(&base)), "the last of it");
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

#[test]
fn half_of_a_pair_under_a_freed_filter_ends_with_the_other_half() {
    let base = new_base();
    let (half, other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    let filter = plain_filter(&half, CLOSE);
    filter.write("nobody reads this").unwrap();
    filter.free();
    drop(half);
    let begun = Instant::now();
    other.free();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(begun.elapsed() < Duration::from_secs(5)); // not only when it has waited too long
}

#[test]
fn a_panic_of_a_filter_that_sends_its_last_bytes_comes_out_of_the_end_of_the_one_on_top() {
    let base = new_base();
    let (half, _other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    let panics = Rc::new(Cell::new(false));
    let on_output = {
        let panics = Rc::clone(&panics);
        move |_: &_, _: &_, _, _| {
            assert!(!panics.get(), "the filter below");
            FilterResult::NeedMore // it keeps the bytes
        }
    };
    let below = EventBufferEvent::create_filter(&half, Filters::new().on_output(on_output), PLAIN);
    let below = below.unwrap();
    // What it captured goes when it has panicked, and a loop runs callbacks as ever.
    let ticks = Rc::new(Cell::new(0));
    let last = Last(base.clone(), Rc::clone(&ticks));
    below
        .set_callbacks(Callbacks::new().on_write(move |_| assert_eq!(last.1.get(), 0)))
        .unwrap();
    let top = plain_filter(&below, PLAIN);
    top.enable(Event::WRITE).unwrap();
    top.write("bytes").unwrap();
    drop(below);
    panics.set(true);
    let ended = catch_unwind(AssertUnwindSafe(|| drop(top)));
    assert_eq!(ended.unwrap_err().downcast_ref(), Some(&"the filter below"));
    assert_eq!(ticks.get(), 1);
}

/// Runs a timer when it is dropped.
struct Last(EventBase, Rc<Cell<u32>>);

impl Drop for Last {
    fn drop(&mut self) {
        let ticks = Rc::clone(&self.1);
        let timer = Event::timer(&self.0, move |_| ticks.set(ticks.get() + 1)).unwrap();
        timer.add(Some(Duration::ZERO)).unwrap();
        run(&self.0);
    }
}

#[test]
fn closed_buffer_event_takes_no_filter() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    bev.close().unwrap();
    let error = EventBufferEvent::create_filter(&bev, Filters::new(), PLAIN).unwrap_err();
    assert!(error.to_string().contains("it was closed"), "{error}");
}

#[test]
fn what_ends_with_its_filter_does_so_though_others_have_handles_and_buffers() {
    let base = new_base();
    let (under, peer) = connected(&base);
    let filter = plain_filter(&under, PLAIN);
    let (handle, input) = (under.clone(), under.get_input().unwrap());
    under.free_with_filter();
    filter.enable(Event::READ).unwrap();
    filter.write("hello").unwrap();
    poll(&base);
    assert_eq!(super::got(&peer), "hello");

    drop(filter);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(handle.get_enabled().is_err() && input.add("too late").is_err());
    assert_eq!((&peer).read(&mut [0]).unwrap(), 0);
}

#[test]
fn without_a_filter_free_with_filter_frees_at_once() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    drop(plain_filter(&bev, PLAIN));
    let handle = bev.clone();
    bev.free_with_filter();
    assert!(handle.get_enabled().is_err());
}
