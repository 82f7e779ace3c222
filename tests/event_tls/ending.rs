//! TLS buffer events freed, dropped and closed at every stage.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use openssl::error::ErrorStack;
use php_event::{
    BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent, EventFlags, Filters, LoopEnd,
};

use crate::peers::{
    ACCEPTING, CLOSING, CONNECTED, CONNECTING, NO_OPTIONS, Seen, WIRES, Wire, World, noting,
};
use test_support::alone;
use test_support::{Drops, panic_of, poll, run};

/// The callback in which the client ends itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Read,
    Write,
    Connected,
}

/// Every combination of wire, option and callback.
fn cases() -> impl Iterator<Item = (Wire, BufferEventOptions, Where)> {
    let places = [Where::Read, Where::Write, Where::Connected];
    WIRES.into_iter().flat_map(move |wire| {
        CLOSING
            .into_iter()
            .flat_map(move |options| places.map(|place| (wire, options, place)))
    })
}

/// Runs a connection whose client calls `end` on itself in the callback of each case.
fn end_in_callback(
    end: impl Fn(&EventBufferEvent, &RefCell<Option<EventBufferEvent>>) + Copy + 'static,
) {
    let world = World::new();
    let (server_context, client_context) = (world.server(), world.client());
    for (wire, options, place) in cases() {
        let base = EventBase::new().unwrap();
        let (server, client) =
            crate::peers::join(&base, wire, &server_context, &client_context, options);
        client.set_ssl_host("localhost").unwrap();
        let seen = Seen::default();
        server.set_callbacks(noting(&seen, "server")).unwrap();
        server.write("hello").unwrap();
        client.write("hello").unwrap();
        let drops = Drops::default();
        let token = drops.token();
        let handle = Rc::new(RefCell::new(Some(client.clone())));
        let ended = Rc::new(Cell::new(0));
        let act = |at: Where| {
            let (handle, ended, token) = (handle.clone(), ended.clone(), token.twin());
            move |bev: &EventBufferEvent| {
                token.hold();
                if at == place && bev.ssl_get_protocol().unwrap().is_some() {
                    ended.set(ended.get() + 1);
                    end(bev, &handle);
                }
            }
        };
        let connected = act(Where::Connected);
        let callbacks = Callbacks::new()
            .on_read(act(Where::Read))
            .on_write(act(Where::Write))
            .on_event(move |bev, what| {
                assert_eq!(what, CONNECTED, "{wire:?}");
                connected(bev);
            });
        client.set_callbacks(callbacks).unwrap();
        drop((client, token));
        run(&base);
        assert_eq!(ended.get(), 1, "{wire:?} {place:?}");
        assert_eq!(drops.count(), 4, "{wire:?} {place:?}");
        assert_eq!(
            seen.of("server").len(),
            2,
            "{wire:?} {place:?} {:?}",
            seen.of("server")
        );
    }
}

#[test]
fn freed_in_each_of_its_callbacks_ends_once() {
    end_in_callback(|bev, _| {
        bev.free();
        bev.free();
        assert!(bev.write("more").is_err());
        assert!(bev.ssl_error().is_err());
    });
}

#[test]
fn dropped_in_each_of_its_callbacks_ends_once() {
    end_in_callback(|_, handle| drop(handle.take()));
}

#[test]
fn close_in_a_callback_sends_close_notify() {
    let world = World::new();
    let base = EventBase::new().unwrap();
    let (server, client) = world.connect(&base, Wire::Sockets, NO_OPTIONS);
    let seen = Seen::default();
    server.set_callbacks(noting(&seen, "server")).unwrap();
    let closes = Callbacks::new().on_event(|bev, _| bev.close().unwrap());
    client.set_callbacks(closes).unwrap();
    run(&base);
    assert_eq!(seen.of("server"), [CONNECTED, crate::peers::EOF]);
    assert_eq!(client.fd(), None);
    assert!(client.connect("127.0.0.1:1").is_err());
    client.enable(Event::READ).unwrap_err();
    client.write("to nobody").unwrap();
    poll(&base);
}

#[test]
fn freed_after_any_number_of_turns_of_a_handshake_ends_cleanly() {
    let world = World::new();
    let (server_context, client_context) = (world.server(), world.client());
    for wire in WIRES {
        for options in CLOSING {
            for turns in 0..8 {
                let base = EventBase::new().unwrap();
                let (server, client) =
                    crate::peers::join(&base, wire, &server_context, &client_context, options);
                client.set_ssl_host("localhost").unwrap();
                client.write("waits").unwrap();
                for _ in 0..turns {
                    poll(&base);
                }
                if turns % 2 == 0 {
                    client.free();
                } else {
                    drop(client);
                }
                if turns % 3 == 0 {
                    drop(base);
                    drop(server);
                } else {
                    poll(&base);
                    drop(server);
                }
            }
        }
    }
}

#[test]
fn base_dropped_first_lives_as_long_as_its_connections() {
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        for _ in 0..5 {
            poll(&base);
        }
        drop(base);
        client.write("late").unwrap();
        drop(client);
        assert_eq!(server.ssl_error().unwrap(), None);
        drop(server);
    }
}

#[test]
fn unconnected_buffer_event_is_freed_without_a_turn() {
    let base = EventBase::new().unwrap();
    let client = World::new().client();
    for options in CLOSING {
        let tls = EventBufferEvent::ssl_unconnected(&base, &client, CONNECTING, options).unwrap();
        tls.set_ssl_host("localhost").unwrap();
        tls.enable(Event::READ).unwrap();
        tls.write("waits").unwrap();
        poll(&base);
        assert!(tls.ssl_shutdown().is_err());
        drop(tls);
    }
}

#[test]
fn filter_sends_nothing_once_the_one_below_is_freed() {
    for wire in [Wire::FiltersOnPair, Wire::FiltersOnSockets] {
        let base = EventBase::new().unwrap();
        let world = World::new();
        let (one, _two) = match wire {
            Wire::FiltersOnPair => EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap(),
            _ => {
                let (one, two) = UnixStream::pair().unwrap();
                let make = |socket| EventBufferEvent::new(&base, socket, NO_OPTIONS).unwrap();
                (make(one), make(two))
            }
        };
        let state = EventBufferEvent::SSL_CONNECTING;
        let filter =
            EventBufferEvent::create_ssl_filter(&one, &world.client(), state, NO_OPTIONS).unwrap();
        filter.enable(Event::READ).unwrap();
        poll(&base);
        one.free();
        filter.enable(Event::READ | Event::WRITE).unwrap();
        filter.write("nowhere").unwrap();
        poll(&base);
        drop(filter);
        poll(&base);
    }
}

#[test]
fn buffer_event_below_has_its_callbacks_again_after_its_filter_is_freed() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (one, other) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
    let state = EventBufferEvent::SSL_CONNECTING;
    let filter =
        EventBufferEvent::create_ssl_filter(&one, &world.client(), state, NO_OPTIONS).unwrap();
    let got = Rc::new(Cell::new(0));
    let count = got.clone();
    let takes = Callbacks::new().on_read(move |bev| {
        count.set(count.get() + bev.read(99).unwrap().unwrap().len());
        bev.free();
    });
    one.set_callbacks(takes).unwrap();
    filter.free();
    one.enable(Event::READ).unwrap();
    other.write("plain").unwrap();
    run(&base);
    assert_eq!(got.get(), 5);
}

#[test]
fn everything_after_free_is_an_error() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    for wire in WIRES {
        let (_server, tls) = world.connect(&base, wire, NO_OPTIONS);
        tls.free();
        tls.free();
        let calls = [
            ("sslError", tls.ssl_error().map(drop)),
            ("sslGetProtocol", tls.ssl_get_protocol().map(drop)),
            ("sslGetCipherName", tls.ssl_get_cipher_name().map(drop)),
            (
                "sslGetCipherVersion",
                tls.ssl_get_cipher_version().map(drop),
            ),
            ("sslGetCipherInfo", tls.ssl_get_cipher_info().map(drop)),
            ("ssl_get_alpn", tls.ssl_get_alpn().map(drop)),
            ("sslRenegotiate", tls.ssl_renegotiate()),
            ("ssl_shutdown", tls.ssl_shutdown()),
            ("set_ssl_host", tls.set_ssl_host("localhost")),
            (
                "$allow_ssl_dirty_shutdown",
                tls.set_allow_ssl_dirty_shutdown(true),
            ),
            ("write", tls.write("x")),
            ("read", tls.read(1).map(drop)),
            ("enable", tls.enable(EventFlags::READ)),
            ("close", tls.close()),
            ("connect", tls.connect("127.0.0.1:1")),
            ("set_watermark", tls.set_watermark(Event::READ, 0, 1)),
        ];
        for (name, result) in calls {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("freed"), "{name}: {error}");
        }
        assert!(!tls.allow_ssl_dirty_shutdown());
        assert_eq!(tls.fd(), None);
    }
}

#[test]
fn many_connections_leave_no_descriptor_open() {
    alone(&[], || {
        let world = World::new();
        let (server_context, client_context) = (world.server(), world.client());
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let base = EventBase::new().unwrap();
        let before = open();
        let all: Vec<_> = (0..100)
            .map(|_| crate::peers::sockets(&base, &server_context, &client_context))
            .collect();
        poll(&base);
        assert!(open() >= before + 200);
        drop(all);
        poll(&base);
        assert_eq!(open(), before);
    });
}

#[test]
fn panic_in_a_callback_leaves_the_loop_and_the_peer_continues() {
    let world = World::new();
    let (server_context, client_context) = (world.server(), world.client());
    for (wire, options, place) in cases() {
        let base = EventBase::new().unwrap();
        let (server, client) =
            crate::peers::join(&base, wire, &server_context, &client_context, options);
        client.set_ssl_host("localhost").unwrap();
        let seen = Seen::default();
        server.set_callbacks(noting(&seen, "server")).unwrap();
        server.write("hello").unwrap();
        client.write("hello").unwrap();
        let act = |at: Where| {
            move |_: &EventBufferEvent| {
                assert!(at != place, "as planned");
            }
        };
        let connected = act(Where::Connected);
        let callbacks = Callbacks::new()
            .on_read(act(Where::Read))
            .on_write(act(Where::Write))
            .on_event(move |bev, _| connected(bev));
        client.set_callbacks(callbacks).unwrap();
        assert_eq!(panic_of(|| run(&base)), "as planned");
        client.set_callbacks(Callbacks::new()).unwrap();
        for _ in 0..20 {
            poll(&base);
        }
        drop(client);
        run(&base);
        assert_eq!(seen.of("server").len(), 2, "{wire:?} {place:?}");
    }
}

#[test]
fn tls_under_a_freed_filter_ends_at_once_after_a_failed_handshake() {
    let (world, base) = (World::new(), EventBase::new().unwrap());
    let (ours, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(b"220 speaks no TLS\r\n").unwrap();
    let tls = EventBufferEvent::ssl_socket(&base, ours, &world.client(), CONNECTING, NO_OPTIONS);
    let tls = tls.unwrap();
    let closing = EventBufferEvent::OPT_CLOSE_ON_FREE;
    let filter = EventBufferEvent::create_filter(&tls, Filters::new(), closing).unwrap();
    let seen = Seen::default();
    filter.set_callbacks(noting(&seen, "filter")).unwrap();
    filter.enable(Event::READ | Event::WRITE).unwrap();
    filter.write("nobody can read this").unwrap();
    while seen.of("filter").is_empty() {
        poll(&base);
    }
    filter.free();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let end = std::io::copy(&mut peer, &mut std::io::sink()); // or a reset: not all was read
    let is_open = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(!is_open, "its socket is kept");
}

/// Writes to a filter on top of `tls`, and frees both after some turns.
fn write_and_free(base: &EventBase, tls: EventBufferEvent, text: &str, turns: usize) {
    let closing = EventBufferEvent::OPT_CLOSE_ON_FREE;
    let filter = EventBufferEvent::create_filter(&tls, Filters::new(), closing).unwrap();
    filter.enable(Event::READ | Event::WRITE).unwrap();
    filter.write(text).unwrap();
    for _ in 0..turns {
        poll(base);
    }
    drop(tls);
    filter.free();
}

#[test]
fn tls_under_a_filter_that_is_freed_during_the_handshake_sends_what_waits() {
    let world = World::new();
    let (ours, theirs) = (world.server(), world.client());
    for (wire, turns) in WIRES
        .into_iter()
        .flat_map(|wire| (0..8).map(move |turns| (wire, turns)))
    {
        let base = EventBase::new().unwrap();
        let (server, client) = crate::peers::join(&base, wire, &ours, &theirs, NO_OPTIONS);
        client.set_ssl_host("localhost").unwrap();
        let got = Rc::new(RefCell::new(Vec::new()));
        let all = got.clone();
        let reads = Callbacks::new().on_read(move |bev| {
            all.borrow_mut()
                .extend(bev.read(99).unwrap().unwrap_or_default());
        });
        let reads = reads.on_event(|bev, what| {
            if what != CONNECTED {
                bev.free();
            }
        });
        server.set_callbacks(reads).unwrap();
        write_and_free(&base, client, "hello", turns);
        run(&base);
        assert_eq!(*got.borrow(), b"hello", "{wire:?} {turns}");
    }
}

#[test]
fn tls_under_a_filter_that_is_freed_during_the_handshake_does_not_wait_for_ever() {
    for turns in 0..4 {
        let (world, base) = (World::new(), EventBase::new().unwrap());
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let tls =
            EventBufferEvent::ssl_socket(&base, ours, &world.client(), CONNECTING, NO_OPTIONS);
        let tls = tls.unwrap();
        tls.set_timeouts(None, Some(Duration::from_millis(100)))
            .unwrap();
        write_and_free(&base, tls, "nobody answers", turns);
        assert_eq!(run(&base), LoopEnd::NoEvents);
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let end = std::io::copy(&mut peer, &mut std::io::sink()); // or a reset
        let is_open = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        assert!(!is_open, "its socket is kept, {turns}");
    }
}

/// A server whose peer has gone, which it does not know yet.
fn deserted(base: &EventBase, wire: Wire) -> EventBufferEvent {
    let world = World::new();
    let (one, other) = UnixStream::pair().unwrap();
    let end = other.try_clone().unwrap();
    let socket = |socket, context, state| {
        EventBufferEvent::ssl_socket(base, socket, context, state, NO_OPTIONS).unwrap()
    };
    let filter = |under: &_, context, state| {
        EventBufferEvent::create_ssl_filter(under, context, state, NO_OPTIONS).unwrap()
    };
    let (ours, theirs) = (world.server(), world.client());
    let (server, client) = match wire {
        Wire::Sockets | Wire::FiltersOnPair => (
            socket(one, &ours, ACCEPTING),
            socket(other, &theirs, CONNECTING),
        ),
        Wire::FiltersOnSockets => {
            let under = EventBufferEvent::new(base, one, NO_OPTIONS).unwrap();
            let client = socket(other, &theirs, CONNECTING);
            (filter(&under, &ours, ACCEPTING), client)
        }
        Wire::FiltersOnTls => {
            let (under, client) = (
                socket(one, &ours, ACCEPTING),
                socket(other, &theirs, CONNECTING),
            );
            client.set_ssl_host("localhost").unwrap();
            (
                filter(&under, &ours, ACCEPTING),
                filter(&client, &theirs, CONNECTING),
            )
        }
    };
    client.set_ssl_host("localhost").unwrap();
    let seen = Seen::default();
    for (name, side) in [("server", &server), ("client", &client)] {
        side.set_callbacks(noting(&seen, name)).unwrap();
        side.enable(Event::READ).unwrap();
    }
    while seen.of("server") != [CONNECTED] || seen.of("client") != [CONNECTED] {
        poll(base);
    }
    end.shutdown(Shutdown::Both).unwrap();
    server
}

/// Since OpenSSL 3.2, a socket that cannot be written to is an error in the queue.
#[test]
fn an_end_whose_peer_has_gone_leaves_no_error_to_other_users_of_openssl() {
    type End = fn(&EventBufferEvent);
    let ends: [(&str, End); 2] = [
        ("ssl_shutdown", |server| server.ssl_shutdown().unwrap()),
        ("free", EventBufferEvent::free),
    ];
    for (name, end) in ends {
        for wire in WIRES {
            let base = EventBase::new().unwrap();
            let server = deserted(&base, wire);
            drop(ErrorStack::get());
            end(&server);
            let left = ErrorStack::get();
            assert!(left.errors().is_empty(), "{name}, {wire:?}: {left}");
        }
    }
}
