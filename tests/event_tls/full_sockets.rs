//! TLS connections that end while their socket has no room: the peer gets `close_notify` when it
//! reads.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal};
use openssl::pkey::PKey;
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, LoopEnd};
use test_support::{
    Bomb, Owning, alone, dup, fill, limited, ms, panic_of, poll, run, set_disposition, take_filling,
};

use crate::peers::{ACCEPTING, CONNECTED, CONNECTING, EOF, ERROR, NO_OPTIONS, Seen, World, noting};

/// A connection whose server has written all it had to, and whose client does not read.
struct Full {
    base: EventBase,
    server: EventBufferEvent,
    client: EventBufferEvent,
    seen: Seen,
    /// The server's and the client's end of the wire.
    ends: [UnixStream; 2],
    filling: usize,
}

impl Full {
    /// `filter` puts the server's TLS on top of a plain buffer event.
    fn new(filter: bool) -> Self {
        Self::with(filter, |socket| socket)
    }

    /// With another type for the server's socket.
    fn with<S: AsFd + 'static>(filter: bool, wrap: impl FnOnce(UnixStream) -> S) -> Self {
        let (world, base) = (World::new(), EventBase::new().unwrap());
        let (one, other) = UnixStream::pair().unwrap();
        let ends = [one.try_clone().unwrap(), other.try_clone().unwrap()];
        let one = wrap(one);
        let (ours, theirs) = (world.server(), world.client());
        let closing = EventBufferEvent::OPT_CLOSE_ON_FREE;
        let server = match filter {
            true => {
                let under = EventBufferEvent::new(&base, one, NO_OPTIONS).unwrap();
                EventBufferEvent::create_ssl_filter(&under, &ours, ACCEPTING, closing)
            }
            false => EventBufferEvent::ssl_socket(&base, one, &ours, ACCEPTING, NO_OPTIONS),
        };
        let client = EventBufferEvent::ssl_socket(&base, other, &theirs, CONNECTING, NO_OPTIONS);
        let (server, client) = (server.unwrap(), client.unwrap());
        client.set_ssl_host("localhost").unwrap();
        let greeted = Rc::new(Cell::new(false));
        let greet = greeted.clone();
        let takes = Callbacks::new().on_read(move |bev| {
            bev.read(99).unwrap();
            bev.disable(Event::READ).unwrap();
            greet.set(true);
        });
        client.set_callbacks(takes).unwrap();
        client.enable(Event::READ).unwrap();
        server.enable(Event::READ).unwrap();
        server.write("hello").unwrap();
        while !greeted.get() || server.output().length() > 0 {
            poll(&base);
        }
        let filling = fill(ends[0].try_clone().unwrap());
        let seen = Seen::default();
        client.set_callbacks(noting(&seen, "client")).unwrap();
        Self {
            base,
            server,
            client,
            seen,
            ends,
            filling,
        }
    }

    /// What the client is told of the end, once it reads.
    fn end(self) -> Vec<php_event::BufferEventFlags> {
        let [ours, theirs] = self.ends;
        drop(ours);
        take_filling(theirs, self.filling);
        self.client.enable(Event::READ).unwrap();
        assert_eq!(run(&self.base), LoopEnd::NoEvents);
        self.seen.of("client")
    }
}

/// Turns the loop until `done`.
fn until(base: &EventBase, done: impl Fn() -> bool) {
    limited(|| {
        while !done() {
            poll(base);
        }
    });
}

#[test]
fn close_notify_waits_for_room_in_the_socket() {
    type End = fn(&mut Full);
    let ends: [(&str, End); 3] = [
        ("free", |full| full.server.free()),
        ("close", |full| full.server.close().unwrap()),
        ("drop", |full| {
            let (other, _) = EventBufferEvent::create_pair(&full.base, NO_OPTIONS).unwrap();
            drop(std::mem::replace(&mut full.server, other));
        }),
    ];
    for filter in [false, true] {
        for (name, end) in ends {
            if filter && name == "close" {
                continue; // a filter has no socket to close
            }
            let mut full = Full::new(filter);
            end(&mut full);
            for _ in 0..5 {
                poll(&full.base);
            }
            assert_eq!(full.end(), [EOF], "{name}, filter: {filter}");
        }
    }
}

#[test]
fn close_notify_that_waits_is_sent_once() {
    for closes in [false, true] {
        let full = Full::new(false);
        full.server.ssl_shutdown().unwrap();
        if closes {
            full.server.close().unwrap();
            full.server.ssl_shutdown().ok();
        }
        full.server.free();
        assert_eq!(full.end(), [EOF], "{closes}");
    }
}

#[test]
fn shutdown_that_waits_is_sent_though_the_thread_has_an_older_error_of_openssl() {
    let full = Full::new(false);
    let error = PKey::private_key_from_pem(b"no key").unwrap_err();
    error.put(); // as a program may leave it that calls OpenSSL itself
    full.server.ssl_shutdown().unwrap();
    full.server.free();
    assert_eq!(full.end(), [EOF]);
}

#[test]
fn shutdown_with_a_full_socket_is_sent_when_the_peer_reads_and_reading_goes_on() {
    for filter in [false, true] {
        let full = Full::new(filter);
        let got = Rc::new(Cell::new(0));
        let count = got.clone();
        let reads = Callbacks::new().on_read(move |bev| {
            count.set(count.get() + bev.read(99).unwrap().unwrap_or_default().len());
        });
        full.server.set_callbacks(reads).unwrap();
        let seen = full.seen.clone();
        let ends = Callbacks::new().on_event(move |_, what| seen.add("client", what));
        full.client.set_callbacks(ends).unwrap();
        for _ in 0..3 {
            full.server.ssl_shutdown().unwrap(); // the second and third do nothing
            poll(&full.base);
        }
        let error = full.server.write("more").unwrap_err();
        assert!(matches!(error, php_event::Error::State { .. }), "{error}");
        full.client.write("still heard").unwrap();
        until(&full.base, || got.get() == 11);
        assert_eq!(full.seen.of("client"), []);
        let [_, theirs] = &full.ends;
        take_filling(theirs.try_clone().unwrap(), full.filling);
        full.client.enable(Event::READ).unwrap();
        until(&full.base, || !full.seen.of("client").is_empty());
        assert_eq!(full.seen.of("client"), [EOF], "filter: {filter}");
        full.client.write("and heard again").unwrap();
        until(&full.base, || got.get() == 26);
        assert_eq!(full.seen.of("client"), [EOF], "filter: {filter}");
    }
}

/// OpenSSL cannot write into the output of what is under a filter while that is at its high mark.
#[test]
fn shutdown_waits_for_the_write_high_mark_under_a_filter() {
    let (base, world) = (EventBase::new().unwrap(), World::new());
    let (one, other) = UnixStream::pair().unwrap();
    let end = one.try_clone().unwrap();
    let (ours, theirs) = (world.server(), world.client());
    let under = EventBufferEvent::new(&base, one, NO_OPTIONS).unwrap();
    let server = EventBufferEvent::create_ssl_filter(&under, &ours, ACCEPTING, NO_OPTIONS).unwrap();
    let client = EventBufferEvent::ssl_socket(&base, other, &theirs, CONNECTING, NO_OPTIONS);
    let client = client.unwrap();
    client.set_ssl_host("localhost").unwrap();
    let seen = Seen::default();
    client.set_callbacks(noting(&seen, "client")).unwrap();
    server.enable(Event::READ).unwrap();
    client.enable(Event::READ).unwrap();
    until(&base, || {
        !seen.of("client").is_empty() && under.output().length() == 0
    });
    client.disable(Event::READ).unwrap();
    let filling = fill(end.try_clone().unwrap());
    server.write("waits under the filter").unwrap();
    until(&base, || server.output().length() == 0);
    assert!(under.output().length() > 0);
    under.set_watermark(Event::WRITE, 0, 1).unwrap();
    server.ssl_shutdown().unwrap();
    poll(&base);
    take_filling(dup(client.fd().unwrap()), filling);
    client.enable(Event::READ).unwrap();
    until(&base, || seen.of("client").len() == 2);
    assert_eq!(seen.of("client"), [CONNECTED, EOF]);
}

#[test]
fn close_notify_waits_no_longer_than_the_write_timeout() {
    let full = Full::new(false);
    full.server.set_timeouts(None, ms(30)).unwrap();
    full.server.free();
    assert_eq!(run(&full.base), LoopEnd::NoEvents);
    assert_eq!(
        full.end(),
        [ERROR],
        "the socket is closed, and nothing was sent"
    );
}

/// A write high mark holds back what libevent writes, and `close_notify` is one record.
#[test]
fn close_notify_passes_the_write_high_mark_under_a_filter() {
    let (base, world) = (EventBase::new().unwrap(), World::new());
    let (one, other) = UnixStream::pair().unwrap();
    let (ours, theirs) = (world.server(), world.client());
    let under = EventBufferEvent::new(&base, one, NO_OPTIONS).unwrap();
    let closing = EventBufferEvent::OPT_CLOSE_ON_FREE;
    let server = EventBufferEvent::create_ssl_filter(&under, &ours, ACCEPTING, closing).unwrap();
    let client = EventBufferEvent::ssl_socket(&base, other, &theirs, CONNECTING, NO_OPTIONS);
    let client = client.unwrap();
    client.set_ssl_host("localhost").unwrap();
    let ends = Callbacks::new().on_event(move |bev, what| {
        assert_eq!(what, CONNECTED);
        under.set_watermark(Event::WRITE, 0, 1).unwrap();
        bev.free();
    });
    server.set_callbacks(ends).unwrap();
    let seen = Seen::default();
    client.set_callbacks(noting(&seen, "client")).unwrap();
    server.enable(Event::READ).unwrap();
    client.enable(Event::READ).unwrap();
    run(&base);
    assert_eq!(seen.of("client"), [CONNECTED, EOF]);
}

#[test]
fn panic_of_a_socket_that_has_sent_its_close_notify_comes_out_of_the_loop() {
    let full = Full::with(false, |socket| Owning(socket, Bomb("the last of it")));
    let [_ours, theirs] = full.ends;
    full.server.free();
    poll(&full.base);
    take_filling(theirs, full.filling);
    full.client.enable(Event::READ).unwrap();
    assert_eq!(panic_of(|| run(&full.base)), "the last of it");
    full.client.free();
    assert_eq!(run(&full.base), LoopEnd::NoEvents);
}

/// What a client is told that begins to read.
fn end_of(
    base: &EventBase,
    (client, filling): &(EventBufferEvent, usize),
) -> Vec<php_event::BufferEventFlags> {
    let seen = Seen::default();
    client.set_callbacks(noting(&seen, "client")).unwrap();
    let socket: OwnedFd = dup(client.fd().unwrap());
    take_filling(socket, *filling);
    client.enable(Event::READ).unwrap();
    while seen.of("client").is_empty() {
        poll(base);
    }
    seen.of("client")
}

/// Has the two agree, and fills the server's socket, which its client does not read: both, and what
/// fills it.
fn full_pair(
    base: &EventBase,
    (server, client): (EventBufferEvent, EventBufferEvent),
) -> (EventBufferEvent, (EventBufferEvent, usize)) {
    client.set_ssl_host("localhost").unwrap();
    let connected = Rc::new(Cell::new(0));
    for bev in [&server, &client] {
        let count = connected.clone();
        let counts = Callbacks::new().on_event(move |_, what| {
            assert_eq!(what, CONNECTED);
            count.set(count.get() + 1);
        });
        bev.set_callbacks(counts).unwrap();
    }
    while connected.get() < 2 {
        poll(base);
    }
    for _ in 0..3 {
        poll(base); // the client reads the two tickets behind the handshake
    }
    client.disable(Event::READ).unwrap();
    let socket: OwnedFd = dup(server.fd().unwrap());
    let filling = fill(socket);
    (server, (client, filling))
}

/// Peers that never read cannot hold any number of sockets.
#[test]
fn few_sockets_wait_to_send_close_notify_and_a_base_that_ends_closes_them() {
    alone(&[], || {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let (world, base) = (World::new(), EventBase::new().unwrap());
        let (ours, theirs) = (world.server(), world.client());
        let before = open();
        let pair = || full_pair(&base, crate::peers::sockets(&base, &ours, &theirs));
        let (servers, clients): (Vec<_>, Vec<_>) = (0..300).map(|_| pair()).unzip();
        drop(servers);
        poll(&base);
        assert_eq!(open() - before, 300 + 256);
        let (oldest, newest) = clients.split_at(300 - 256);
        assert_eq!(end_of(&base, &newest[255]), [EOF], "the newest");
        assert_eq!(end_of(&base, &newest[0]), [EOF], "the oldest that waits");
        let given_up = oldest.last().unwrap();
        assert_eq!(
            end_of(&base, given_up),
            [ERROR],
            "the last that gave up its place"
        );
        drop(clients);
        drop(base);
        assert!(open() < before, "{} of {before}", open()); // the base's own are gone, too
    });
}

#[test]
fn panic_of_a_socket_that_gives_up_its_place_comes_out_of_its_own_loop() {
    let (world, base, other) = (World::new(), EventBase::new().unwrap(), EventBase::new());
    let (ours, theirs, other) = (world.server(), world.client(), other.unwrap());
    let (one, two) = UnixStream::pair().unwrap();
    let one = Owning(one, Bomb("the last of it"));
    let oldest = (
        EventBufferEvent::ssl_socket(&base, one, &ours, ACCEPTING, NO_OPTIONS).unwrap(),
        EventBufferEvent::ssl_socket(&base, two, &theirs, CONNECTING, NO_OPTIONS).unwrap(),
    );
    for bev in [&oldest.0, &oldest.1] {
        bev.enable(Event::READ).unwrap();
    }
    let (oldest, _client) = full_pair(&base, oldest);
    let pair = || full_pair(&other, crate::peers::sockets(&other, &ours, &theirs));
    let (servers, _clients): (Vec<_>, Vec<_>) = (0..256).map(|_| pair()).unzip();
    oldest.free();
    drop(servers);
    let fired = Rc::new(Cell::new(false));
    let fires = fired.clone();
    let timer = Event::timer(&other, move |_| fires.set(true)).unwrap();
    timer.add(ms(0)).unwrap();
    until(&other, || fired.get());
    assert_eq!(panic_of(|| poll(&base)), "the last of it");
    poll(&base);
}

#[test]
fn freeing_after_the_peer_closed_is_safe_where_sigpipe_would_end_the_process() {
    alone(&[], || {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        let full = Full::new(false);
        let [_ours, theirs] = full.ends;
        full.client.free();
        drop(theirs);
        set_disposition(Signal::SIGPIPE, &default);
        full.server.free();
    });
}
