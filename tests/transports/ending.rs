//! `free`, `close`, drops, and what they leave.

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{Callbacks, Event, EventBufferEvent, LoopEnd};
use test_support::{Seen, alone, new_base, run};

use super::{ALL, BOTH, EOF, LARGE, Link, PLAIN, Transport, event, notes, refused, text};

#[test]
fn freed_or_dropped_it_reports_nothing_more_and_the_peer_sees_the_end() {
    for transport in ALL {
        for drops in [false, true] {
            let (mut link, seen) = (Link::new(transport), Seen::new());
            link.near.set_callbacks(notes(&seen)).unwrap();
            link.near.enable(BOTH).unwrap();
            if drops {
                link.give_up_near();
            } else {
                link.near.free();
                link.near.free();
            }
            link.send("never read");
            if transport == Transport::Pair {
                link.settle(); // a half of a pair is not told that the other is freed
            } else {
                link.until(|| link.end_at_peer().is_some());
            }
            link.far.free();
            assert_eq!(run(&link.base), LoopEnd::NoEvents, "{transport:?}");
            assert!(seen.take().is_empty(), "{transport:?}");
        }
    }
}

#[test]
fn closed_it_keeps_what_came_in_and_the_loop_can_end() {
    for transport in ALL {
        let (link, seen) = (Link::new(transport), Seen::new());
        let note = seen.clone();
        let callbacks = notes(&seen).on_read(move |_| note.note("read".to_owned()));
        link.near.set_callbacks(callbacks).unwrap();
        link.near.enable(Event::READ).unwrap();
        link.send("hello");
        link.settle();
        assert_eq!(seen.take(), ["read"], "{transport:?}");
        if !transport.has_socket() {
            refused(link.near.close(), "no descriptor", transport);
            continue;
        }
        link.near.close().unwrap();
        link.until(|| link.end_at_peer().is_some());
        if transport.is_tls() {
            assert_eq!(
                link.end_at_peer(),
                Some(EOF),
                "{transport:?}: with close_notify"
            );
        }
        assert_eq!(link.near.fd(), None, "{transport:?}");
        assert!(link.near.get_enabled().unwrap().is_empty(), "{transport:?}");
        refused(link.near.close(), "no descriptor", transport);
        link.near.write("to nobody").ok();
        link.far.free();
        assert_eq!(run(&link.base), LoopEnd::NoEvents, "{transport:?}");
        assert_eq!(text(link.near.read(9).unwrap()), "hello", "{transport:?}");
        assert!(seen.take().is_empty(), "{transport:?}");
    }
}

#[test]
fn an_end_does_not_overtake_bytes_that_are_not_read_yet() {
    for transport in ALL {
        if transport == Transport::Pair {
            continue; // its other half is told nothing while it does not read
        }
        for restarts_below in [false, true] {
            let (link, seen) = (Link::new(transport), Seen::new());
            link.near.set_callbacks(notes(&seen)).unwrap();
            if restarts_below {
                link.near.disable(Event::WRITE).unwrap(); // what is under a TLS filter reads again
            }
            link.send("hello");
            link.settle();
            link.end();
            link.settle();
            assert!(seen.take().is_empty(), "{transport:?} {restarts_below}");
            link.near.enable(Event::READ).unwrap();
            link.settle();
            let expected = ["read hello".to_owned(), event(EOF)];
            assert_eq!(seen.take(), expected, "{transport:?} {restarts_below}");
        }
    }
}

/// Calls that reach for the descriptor.
fn every_call_after_close(bev: &EventBufferEvent) {
    bev.write("secret").ok();
    bev.enable(BOTH).ok();
    bev.disable(Event::READ).ok();
    bev.enable(Event::WRITE).ok();
    bev.set_timeouts(test_support::ms(1), test_support::ms(1))
        .ok();
    bev.set_watermark(BOTH, 0, 9).ok();
    bev.flush(BOTH, php_event::FlushMode::Finished).ok();
    bev.ssl_shutdown().ok();
    bev.connect("127.0.0.1:9").ok();
}

/// The callbacks of libevent keep the number of the descriptor that they were called for.
#[test]
fn nothing_done_after_close_in_a_callback_reaches_the_next_owner_of_the_number() {
    alone(&[], || {
        for transport in ALL.into_iter().filter(|transport| transport.has_socket()) {
            for part in 0..3 {
                let link = Link::new(transport);
                let strangers: Rc<RefCell<Vec<UnixStream>>> = Rc::default();
                let (keep, closed) = (strangers.clone(), Rc::new(Cell::new(false)));
                let done = closed.clone();
                let closes = move |bev: &EventBufferEvent| {
                    if closed.replace(true) {
                        return;
                    }
                    let fd = bev.fd().unwrap();
                    bev.close().unwrap();
                    let pair = UnixStream::pair().unwrap();
                    assert!([&pair.0, &pair.1].iter().any(|end| end.as_raw_fd() == fd));
                    keep.borrow_mut().extend([pair.0, pair.1]);
                    every_call_after_close(bev);
                };
                let callbacks = match part {
                    0 => Callbacks::new().on_read(closes),
                    1 => Callbacks::new().on_write(closes),
                    _ => Callbacks::new().on_event(move |bev, _| closes(bev)),
                };
                link.near.set_callbacks(callbacks).unwrap();
                link.near.enable(BOTH).unwrap();
                link.near.write("first").unwrap();
                link.send("hello");
                link.half_close();
                link.until(|| done.get());
                link.settle();
                for stranger in &*strangers.borrow() {
                    stranger.set_nonblocking(true).unwrap();
                    let mut bytes = [0; 64];
                    let read = std::io::Read::read(&mut &*stranger, &mut bytes);
                    assert!(
                        read.is_err(),
                        "{transport:?} {part}: {:?}",
                        &bytes[..read.unwrap()]
                    );
                }
            }
        }
    });
}

#[test]
fn closed_in_each_of_its_callbacks_it_gets_no_more_events() {
    for transport in ALL.into_iter().filter(|transport| transport.has_socket()) {
        for part in 0..3 {
            let (link, seen) = (Link::new(transport), Seen::new());
            let note = seen.clone();
            let closes = move |bev: &EventBufferEvent| {
                note.note(part);
                bev.close().unwrap();
            };
            let callbacks = match part {
                0 => Callbacks::new().on_read(closes),
                1 => Callbacks::new().on_write(closes),
                _ => Callbacks::new().on_event(move |bev, _| closes(bev)),
            };
            link.near.set_callbacks(callbacks).unwrap();
            link.near.enable(BOTH).unwrap();
            link.near.write("first").unwrap();
            link.send("hello");
            link.half_close();
            link.until(|| seen.len() > 0);
            link.settle();
            assert_eq!(seen.take(), [part], "{transport:?}");
            link.near.set_timeouts(None, None).unwrap();
            assert_eq!(link.near.fd(), None, "{transport:?}");
        }
    }
}

#[test]
fn thousand_connections_leave_no_descriptor_open() {
    alone(&[], || {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        drop(Link::new(Transport::Tls)); // makes the contexts
        let before = open();
        for transport in ALL {
            let base = new_base();
            for n in 0..130 {
                let link = Link::with(&base, transport, PLAIN);
                link.near.enable(BOTH).unwrap();
                link.near.write("x").unwrap();
                if n % 3 == 0 {
                    link.settle();
                }
            }
            drop(base);
            assert_eq!(open(), before, "{transport:?}");
        }
    });
}

#[test]
fn detached_it_lives_until_it_is_freed_and_keeps_nothing_after() {
    for transport in ALL {
        let (mut link, seen, held) = (Link::new(transport), Seen::new(), Rc::new(()));
        let (note, captured) = (seen.clone(), Rc::clone(&held));
        let callbacks = Callbacks::new()
            .on_read(|bev| bev.write_buffer(&bev.input()).unwrap())
            .on_event(move |bev, what| {
                note.note((what, Rc::strong_count(&captured)));
                bev.free();
            });
        link.near.set_callbacks(callbacks).unwrap();
        link.near.enable(Event::READ).unwrap();
        let near = std::mem::replace(&mut link.near, link.far.clone());
        near.detach();
        link.send("echo");
        link.until(|| link.received() == 4);
        link.end();
        run(&link.base);
        assert_eq!(seen.take(), [(EOF, 2)], "{transport:?}");
        assert_eq!(Rc::strong_count(&held), 1, "{transport:?}");
    }
}

#[test]
fn freed_when_all_is_written_it_loses_nothing() {
    for transport in ALL {
        for options in [PLAIN, EventBufferEvent::OPT_CLOSE_ON_FREE] {
            let link = Link::with_options(transport, options);
            let frees = Callbacks::new().on_write(|bev| bev.free());
            link.near.set_callbacks(frees).unwrap();
            link.near.write(vec![b'x'; LARGE]).unwrap();
            link.until(|| link.received() == LARGE);
            if transport.has_socket() || transport == Transport::TlsFilterOnSocket {
                link.until(|| link.end_at_peer().is_some());
                assert_eq!(link.end_at_peer(), Some(EOF), "{transport:?}");
            }
        }
    }
}
