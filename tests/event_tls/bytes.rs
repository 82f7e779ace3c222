//! Bytes through TLS: large transfers, watermarks, and the end of each direction.

use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use openssl::sha::{Sha256, sha256};
use php_event::{Callbacks, Event, EventBase, EventBufferEvent, Filters};

use crate::peers::{
    ACCEPTING, CLOSING, CONNECTED, CONNECTING, EOF, NO_OPTIONS, Seen, WIRES, Wire, World, errors,
    noting, refused,
};
use test_support::{poll, run};

/// Bytes sent each way: less under Valgrind, which is slow.
fn total() -> usize {
    let slow = std::env::var_os("LD_PRELOAD").is_some_and(|list| {
        list.to_string_lossy().contains("valgrind") || list.to_string_lossy().contains("vgpreload")
    });
    if slow { 1 << 20 } else { 100 << 20 }
}

/// One side of the exchange: sends `left` bytes when there is room, and hashes what it receives.
struct Flow {
    left: Cell<usize>,
    next: Cell<u8>,
    sent: RefCell<Sha256>,
    got: RefCell<Sha256>,
    count: Cell<usize>,
    most: Cell<usize>, // buffered at any time
}

const PIECE: usize = 64 << 10;

impl Flow {
    fn new(total: usize, first: u8) -> Rc<Self> {
        Rc::new(Self {
            left: Cell::new(total),
            next: Cell::new(first),
            sent: RefCell::default(),
            got: RefCell::default(),
            count: Cell::default(),
            most: Cell::default(),
        })
    }

    fn send(&self, bev: &EventBufferEvent) {
        while self.left.get() > 0 && bev.output().length() < PIECE {
            let size = self.left.get().min(PIECE);
            let byte = self.next.get();
            let piece = vec![byte; size];
            self.sent.borrow_mut().update(&piece);
            bev.write(&piece).unwrap();
            self.next.set(byte.wrapping_mul(31).wrapping_add(7));
            self.left.set(self.left.get() - size);
        }
        self.hold(bev.output().length());
    }

    fn take(&self, bev: &EventBufferEvent) {
        self.hold(bev.input().length());
        while let Some(bytes) = bev.read(PIECE).unwrap() {
            self.got.borrow_mut().update(&bytes);
            self.count.set(self.count.get() + bytes.len());
        }
    }

    fn hold(&self, length: usize) {
        self.most.set(self.most.get().max(length));
    }
}

/// Sends `total` both ways at once; the side that is done first frees itself.
fn exchange(base: &EventBase, server: &EventBufferEvent, client: &EventBufferEvent, total: usize) {
    let flows = [Flow::new(total, 1), Flow::new(total, 2)];
    for (bev, flow) in [server, client].into_iter().zip(&flows) {
        bev.set_watermark(Event::READ, 0, 2 * PIECE).unwrap();
        let (sends, takes, starts) = (flow.clone(), flow.clone(), flow.clone());
        let ends = move |bev: &EventBufferEvent, flow: &Flow| {
            if flow.count.get() == total && flow.left.get() == 0 && bev.output().length() == 0 {
                bev.free();
            }
        };
        let callbacks = Callbacks::new()
            .on_write(move |bev| {
                sends.send(bev);
                ends(bev, &sends);
            })
            .on_read(move |bev| {
                takes.take(bev);
                ends(bev, &takes);
            })
            .on_event(move |bev, what| match what {
                CONNECTED => starts.send(bev),
                _ => {
                    assert_eq!(what, EOF, "{:?}", errors(bev));
                    starts.take(bev);
                    bev.free();
                }
            });
        bev.set_callbacks(callbacks).unwrap();
    }
    run(base);
    for (flow, other) in [(0, 1), (1, 0)] {
        assert_eq!(flows[flow].count.get(), total);
        let (got, sent) = (
            flows[flow].got.take().finish(),
            flows[other].sent.borrow().clone(),
        );
        assert_eq!(got, sent.finish());
        assert!(
            flows[flow].most.get() <= 4 * PIECE,
            "{}",
            flows[flow].most.get()
        );
    }
}

#[test]
fn hundred_megabytes_go_both_ways_in_bounded_memory() {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, Wire::Sockets, NO_OPTIONS);
    exchange(&base, &server, &client, total());
}

#[test]
fn megabytes_go_both_ways_over_every_wire() {
    for wire in WIRES {
        for options in CLOSING {
            let base = EventBase::new().unwrap();
            let (server, client) = World::new().connect(&base, wire, options);
            exchange(&base, &server, &client, total() / 50);
        }
    }
}

#[test]
fn record_larger_than_the_high_mark_arrives_whole() {
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        client.set_watermark(Event::READ, 0, 1000).unwrap();
        let sends = Callbacks::new().on_event(|bev, what| match what {
            CONNECTED => bev.write([7; 16_000]).unwrap(),
            _ => bev.free(),
        });
        server.set_callbacks(sends).unwrap();
        let got = Rc::new(Cell::new(0));
        let count = got.clone();
        let takes = Callbacks::new().on_read(move |bev| {
            let input = bev.input().length();
            assert!(input <= 17_000);
            count.set(count.get() + bev.read(500).unwrap().unwrap().len());
            if count.get() + bev.input().length() == 16_000 {
                bev.free();
            }
        });
        client.set_callbacks(takes).unwrap();
        run(&base);
        assert!(got.get() >= 500, "{wire:?}");
        drop((server, client));
    }
}

/// A client takes its high mark away when it has reached it, with READ disabled meanwhile or not.
/// The server writes once more when all of the record has come.
fn take_the_mark_away(wire: Wire, pauses: bool) {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
    client.set_watermark(Event::READ, 0, 1000).unwrap();
    let sends = Callbacks::new().on_event(|bev, what| match what {
        CONNECTED => bev.write([7; 16_000]).unwrap(),
        _ => bev.free(),
    });
    server.set_callbacks(sends).unwrap();
    let (has_mark, has_record) = (Cell::new(true), Cell::new(false));
    let takes = Callbacks::new().on_read(move |bev| {
        if has_mark.replace(false) {
            if pauses {
                bev.disable(Event::READ).unwrap();
            }
            bev.set_watermark(Event::READ, 0, 0).unwrap();
            if pauses {
                bev.enable(Event::READ).unwrap();
            }
        }
        match bev.input().length() {
            16_000 if !has_record.replace(true) => server.write("more").unwrap(),
            16_004 => bev.free(),
            length => assert!(length <= 16_000, "{length}"),
        }
    });
    client.set_callbacks(takes).unwrap();
    run(&base);
}

#[test]
fn reading_goes_on_when_the_high_mark_is_taken_away_in_the_middle_of_a_record() {
    for wire in WIRES {
        for pauses in [false, true] {
            take_the_mark_away(wire, pauses);
        }
    }
}

const FLOOD: usize = 10_000_000;

/// A client that floods a server, which is a TLS filter on a socket.
struct Flooded {
    base: EventBase,
    under: EventBufferEvent,
    server: EventBufferEvent,
    client: EventBufferEvent,
    _world: World,
}

impl Flooded {
    /// One whose handshake is over.
    fn new() -> Self {
        let (world, base) = (World::new(), EventBase::new().unwrap());
        let (one, other) = UnixStream::pair().unwrap();
        let under = EventBufferEvent::new(&base, one, NO_OPTIONS).unwrap();
        let server = world.server();
        let server = EventBufferEvent::create_ssl_filter(&under, &server, ACCEPTING, NO_OPTIONS);
        let server = server.unwrap();
        let context = world.client();
        let client = EventBufferEvent::ssl_socket(&base, other, &context, CONNECTING, NO_OPTIONS);
        let client = client.unwrap();
        client.set_ssl_host("localhost").unwrap();
        client.write(vec![7; FLOOD]).unwrap();
        let seen = Seen::default();
        server.set_callbacks(noting(&seen, "server")).unwrap();
        while seen.of("server") != [CONNECTED] {
            poll(&base);
        }
        Self {
            base,
            under,
            server,
            client,
            _world: world,
        }
    }

    /// Waits until nothing more is taken in, and expects that most is not.
    fn is_held_back(&self, what: &str) {
        self.base.exit(crate::peers::soon()).unwrap();
        run(&self.base);
        let (taken, left) = (self.under.input().length(), self.client.output().length());
        assert!(taken < 1_000_000 && left > 0, "{what}: {taken} {left}");
    }

    /// Expects that the rest comes when the server reads it.
    fn all_comes(self) {
        let count = Cell::new(0);
        let takes = Callbacks::new().on_read(move |bev| {
            count.set(count.get() + bev.read(FLOOD).unwrap().unwrap_or_default().len());
            if count.get() == FLOOD {
                bev.free();
                self.under.free();
            }
        });
        self.server.set_callbacks(takes).unwrap();
        self.server.set_watermark(Event::READ, 0, 0).unwrap();
        self.server.enable(Event::READ).unwrap();
        self.client
            .set_callbacks(Callbacks::new().on_event(|bev, _| bev.free()))
            .unwrap();
        run(&self.base);
    }
}

#[test]
fn tls_filter_that_does_not_read_takes_in_no_flood_until_it_does() {
    let flooded = Flooded::new();
    flooded.is_held_back("does not read");
    flooded.all_comes();
}

#[test]
fn tls_filter_that_is_full_takes_in_no_flood_whatever_is_disabled() {
    for directions in [Event::WRITE, Event::READ | Event::WRITE] {
        let flooded = Flooded::new();
        let Flooded { base, server, .. } = &flooded;
        server.set_watermark(Event::READ, 0, 1000).unwrap();
        server.enable(Event::READ).unwrap();
        while server.input().length() < 1000 {
            poll(base);
        }
        server.disable(directions).unwrap();
        flooded.is_held_back(&format!("{directions:?}"));
        flooded.all_comes();
    }
}

#[test]
fn tls_filter_under_a_filter_that_does_not_read_takes_in_no_flood_whatever_is_disabled() {
    let flooded = Flooded::new();
    let (base, server) = (&flooded.base, &flooded.server);
    let top = EventBufferEvent::create_filter(server, Filters::new(), NO_OPTIONS).unwrap();
    server.enable(Event::READ).unwrap();
    poll(base);
    server.disable(Event::WRITE).unwrap();
    flooded.is_held_back("a filter on top");
    top.free();
    flooded.all_comes();
}

/// libevent takes in the next record below the callback of the last one.
#[test]
fn records_below_a_read_high_mark_use_no_stack() {
    const RECORDS: usize = 20_000;
    for mark in [1 << 20, 1000] {
        for wire in [Wire::FiltersOnPair, Wire::FiltersOnTls] {
            let base = EventBase::new().unwrap();
            let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
            let seen = Seen::default();
            client.set_callbacks(noting(&seen, "client")).unwrap();
            while seen.of("client") != [CONNECTED] {
                poll(&base);
            }
            poll(&base);
            server.set_watermark(Event::READ, 0, mark).unwrap();
            for _ in 0..RECORDS {
                client.write("x").unwrap();
            }
            let mut count = 0;
            while count < RECORDS {
                poll(&base);
                let waits = server.input().length();
                assert!(waits <= mark, "{wire:?}, {mark}: {waits}");
                if waits == mark || count + waits == RECORDS {
                    count += server.read(mark).unwrap().unwrap_or_default().len();
                }
            }
        }
    }
}

#[test]
fn read_marks_count_below_a_tls_filter_and_after_it() {
    let (world, base) = (World::new(), EventBase::new().unwrap());
    for marks in [(0, 64), (10, 64), (10, 0)] {
        let (one, peer) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
        one.set_watermark(Event::READ, marks.0, marks.1).unwrap();
        let context = world.server();
        let filter = EventBufferEvent::create_ssl_filter(&one, &context, ACCEPTING, NO_OPTIONS);
        filter.unwrap().free();
        let calls = Rc::new(Cell::new(0));
        let count = Rc::clone(&calls);
        let reads = Callbacks::new().on_read(move |_| count.set(count.get() + 1));
        one.set_callbacks(reads).unwrap();
        one.enable(Event::READ).unwrap();
        peer.write("123456789").unwrap();
        poll(&base);
        poll(&base);
        assert_eq!(calls.get() == 0, marks.0 == 10, "{marks:?}");
        peer.write([b'x'; 1000]).unwrap();
        poll(&base);
        poll(&base);
        assert_ne!(calls.get(), 0);
        let most = if marks.1 == 0 { 1009 } else { marks.1 };
        assert_eq!(one.input().length(), most, "{marks:?}");
    }
}

#[test]
fn a_read_low_mark_set_below_a_tls_filter_waits_for_its_end() {
    let (world, base) = (World::new(), EventBase::new().unwrap());
    let (one, other) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
    let on = |under, context, state| {
        EventBufferEvent::create_ssl_filter(under, context, state, NO_OPTIONS).unwrap()
    };
    let (accepting, connecting) = (world.server(), world.client());
    let server = on(&one, &accepting, ACCEPTING);
    let client = on(&other, &connecting, CONNECTING);
    client.set_ssl_host("localhost").unwrap();
    one.set_watermark(Event::READ, 100_000, 0).unwrap();
    for bev in [&server, &client] {
        bev.enable(Event::READ).unwrap();
    }
    run_turns(&base); // the handshake
    client.write("hello").unwrap();
    run_turns(&base);
    assert_eq!(server.input().length(), 5);
    server.free();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let reads = Callbacks::new().on_read(move |_| count.set(count.get() + 1));
    one.set_callbacks(reads).unwrap();
    one.enable(Event::READ).unwrap();
    client.free();
    other.write([b'x'; 1000]).unwrap();
    poll(&base);
    assert_eq!(calls.get(), 0);
    other.write([b'x'; 100_000]).unwrap();
    poll(&base);
    assert_ne!(calls.get(), 0);
}

#[test]
fn an_end_waits_for_bytes_that_a_filter_has_never_read() {
    for filter_stays in [true, false] {
        let (world, base) = (World::new(), EventBase::new().unwrap());
        let (near, far) = UnixStream::pair().unwrap();
        let under = EventBufferEvent::new(&base, near, NO_OPTIONS).unwrap();
        let (accepting, connecting) = (world.server(), world.client());
        let server =
            EventBufferEvent::create_ssl_filter(&under, &accepting, ACCEPTING, NO_OPTIONS).unwrap();
        let client =
            EventBufferEvent::ssl_socket(&base, far, &connecting, CONNECTING, NO_OPTIONS).unwrap();
        client.set_ssl_host("localhost").unwrap();
        client.enable(Event::READ).unwrap(); // tickets that it has not read would reset the connection
        let seen = Seen::default();
        let got = Rc::new(RefCell::new(Vec::new()));
        let bytes = Rc::clone(&got);
        let reads = noting(&seen, "server")
            .on_read(move |bev| bytes.borrow_mut().extend(bev.read(9).unwrap().unwrap()));
        server.set_callbacks(reads).unwrap();
        let of_under = seen.clone();
        let ends = Callbacks::new().on_event(move |_bev, what| of_under.add("under", what));
        under.set_callbacks(ends).unwrap();
        run_turns(&base); // TLS 1.3 sends tickets after the handshake
        client.write("hello").unwrap();
        let sent = Callbacks::new().on_write(|bev| bev.free()); // with `close_notify`
        client.set_callbacks(sent).unwrap();
        run_turns(&base);
        assert_eq!(seen.of("server"), [CONNECTED]);
        if filter_stays {
            server.enable(Event::READ).unwrap();
            run_turns(&base);
            assert_eq!(got.take(), b"hello");
            assert_eq!(seen.of("server"), [CONNECTED, EOF]);
        } else {
            server.free(); // what was under it has the bytes and the end
            run_turns(&base);
            assert_eq!(seen.of("under")[0], EOF); // and it cannot send `close_notify`
            assert!(under.input().length() > 0);
        }
    }
}

/// As many turns of the loop as anything here takes.
fn run_turns(base: &EventBase) {
    for _ in 0..20 {
        poll(base);
    }
}

#[test]
fn bytes_written_before_the_handshake_arrive_after_it() {
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        server.write("early").unwrap();
        client.write("bird").unwrap();
        let seen = Seen::default();
        for (bev, name, length) in [(&server, "server", 4), (&client, "client", 5)] {
            let callbacks = noting(&seen, name).on_read(move |bev| {
                if bev.input().length() == length {
                    bev.ssl_shutdown().unwrap();
                }
            });
            bev.set_callbacks(callbacks).unwrap();
        }
        run(&base);
        for name in ["server", "client"] {
            assert!(seen.of(name).contains(&CONNECTED), "{wire:?}");
            assert!(seen.of(name).contains(&EOF), "{wire:?} {:?}", seen.of(name));
        }
    }
}

#[test]
fn client_with_writing_disabled_begins_the_handshake_once_it_is_enabled() {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, Wire::Sockets, NO_OPTIONS);
    client.disable(Event::WRITE).unwrap();
    let seen = Seen::default();
    server.set_callbacks(noting(&seen, "server")).unwrap();
    client.set_callbacks(noting(&seen, "client")).unwrap();
    base.exit(crate::peers::soon()).unwrap();
    run(&base);
    assert_eq!(seen.of("client"), []);
    client.enable(Event::WRITE).unwrap();
    let ends = Callbacks::new().on_read(EventBufferEvent::free);
    client.set_callbacks(ends).unwrap();
    server.write("hello").unwrap();
    run(&base);
    assert_eq!(seen.of("server"), [CONNECTED, EOF]);
}

#[test]
fn close_notify_ends_one_direction_only() {
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        let server_seen = Seen::default();
        let seen = server_seen.clone();
        // The answer is written after the peer has closed its direction.
        let answers = Callbacks::new()
            .on_event(move |bev, what| {
                seen.add("server", what);
                if what == EOF {
                    assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"question"[..]));
                    bev.write("a long ").unwrap();
                    bev.write("answer").unwrap();
                } else if what != CONNECTED {
                    bev.free();
                }
            })
            .on_write({
                let seen = server_seen.clone();
                move |bev| {
                    if seen.of("server").contains(&EOF) && bev.output().length() == 0 {
                        bev.ssl_shutdown().unwrap();
                        bev.ssl_shutdown().unwrap(); // a second call does nothing
                        assert!(refused(bev.write("more")).contains("write"));
                        bev.free();
                    }
                }
            });
        server.set_callbacks(answers).unwrap();
        let got = Rc::new(RefCell::new(Vec::new()));
        let (all, seen) = (got.clone(), server_seen.clone());
        let asks = Callbacks::new()
            .on_event(move |bev, what| {
                seen.add("client", what);
                match what {
                    CONNECTED => bev.write("question").unwrap(),
                    _ => {
                        all.borrow_mut()
                            .extend(bev.read(99).unwrap().unwrap_or_default());
                        bev.free();
                    }
                }
            })
            .on_write(|bev| {
                if bev.ssl_get_protocol().unwrap().is_some() && bev.output().length() == 0 {
                    match bev.ssl_shutdown() {
                        Ok(()) => bev.ssl_shutdown().unwrap(), // a second call does nothing
                        Err(error) => assert!(error.to_string().contains("handshake")),
                    }
                }
            });
        client.set_callbacks(asks).unwrap();
        run(&base);
        assert_eq!(
            *got.borrow(),
            b"a long answer",
            "{wire:?} {:?}",
            server_seen.of("client")
        );
        assert_eq!(server_seen.of("server"), [CONNECTED, EOF], "{wire:?}");
        assert_eq!(server_seen.of("client"), [CONNECTED, EOF], "{wire:?}");
    }
}

#[test]
fn output_waiting_at_the_peers_close_notify_is_written() {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, Wire::Sockets, NO_OPTIONS);
    let size = 4 << 20; // more than the sockets buffer
    let seen = Seen::default();
    let floods = noting(&seen, "server");
    server.set_callbacks(floods).unwrap();
    let ended = Rc::new(Cell::new(false));
    let mark = ended.clone();
    let floods = Callbacks::new()
        .on_event(move |bev, what| match what {
            CONNECTED => bev.write(vec![1; size]).unwrap(),
            _ => {
                assert_eq!(what, EOF, "{:?}", errors(bev));
                assert!(bev.output().length() > 0);
                mark.set(true);
            }
        })
        .on_write(move |bev| {
            if ended.get() && bev.output().length() == 0 {
                bev.free();
            }
        });
    server.set_callbacks(floods).unwrap();
    let got = Rc::new(Cell::new(0));
    let count = got.clone();
    let takes = Callbacks::new()
        .on_event(|bev, what| match what {
            CONNECTED => bev.ssl_shutdown().unwrap(),
            _ => bev.free(),
        })
        .on_read(move |bev| count.set(count.get() + bev.read(size).unwrap().unwrap().len()));
    client.set_callbacks(takes).unwrap();
    run(&base);
    assert_eq!(got.get(), size);
    drop((server, client));
}

#[test]
fn free_with_output_waiting_sends_no_close_notify() {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, Wire::Sockets, NO_OPTIONS);
    let cuts = Callbacks::new().on_event(|bev, what| {
        assert_eq!(what, CONNECTED);
        bev.write(vec![1; 1 << 20]).unwrap();
        bev.free();
    });
    server.set_callbacks(cuts).unwrap();
    let seen = Seen::default();
    client.set_callbacks(noting(&seen, "client")).unwrap();
    run(&base);
    assert_eq!(seen.of("client"), [CONNECTED, crate::peers::ERROR]);
    drop(server);
}

#[test]
fn file_is_sent_through_tls() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (server, client) = world.connect(&base, Wire::Sockets, NO_OPTIONS);
    let bytes: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut file = std::fs::File::create_new(world.folder.path().join("file")).unwrap();
    file.write_all(&bytes).unwrap();
    let file = std::fs::File::open(world.folder.path().join("file")).unwrap();
    server.output().add_file(file, 0, None).unwrap();
    let ends = Callbacks::new().on_write(EventBufferEvent::free);
    server.set_callbacks(ends).unwrap();
    let got = Rc::new(RefCell::new(Vec::new()));
    let all = got.clone();
    let takes = Callbacks::new()
        .on_read(move |bev| all.borrow_mut().extend(bev.read(1 << 20).unwrap().unwrap()))
        .on_event(|bev, what| {
            if what != CONNECTED {
                assert_eq!(what, EOF);
                bev.free();
            }
        });
    client.set_callbacks(takes).unwrap();
    run(&base);
    assert_eq!(got.borrow().len(), bytes.len());
    assert_eq!(sha256(&got.borrow()), sha256(&bytes));
    drop((server, client));
}

/// OpenSSL has begun to write the front of the output: bytes taken away there would be missing
/// in the middle of what the peer gets, without an error.
#[test]
fn output_cannot_lose_bytes_that_openssl_has_begun_to_write() {
    let size = 8 << 20; // more than the sockets buffer
    for wire in WIRES {
        let base = EventBase::new().unwrap();
        let (server, client) = World::new().connect(&base, wire, NO_OPTIONS);
        let (data, got) = (numbered(size), Rc::new(RefCell::new(Vec::new())));
        server.write(&data).unwrap();
        client.disable(Event::READ).unwrap();
        client.enable(Event::READ).unwrap();
        let (all, started) = (got.clone(), Rc::new(Cell::new(false)));
        let start = started.clone();
        let takes = Callbacks::new().on_read(move |bev| {
            start.set(true);
            bev.disable(Event::READ).unwrap(); // lets the sockets fill up
            all.borrow_mut()
                .extend(bev.read(usize::MAX).unwrap().unwrap_or_default());
        });
        client.set_callbacks(takes).unwrap();
        for _ in 0..200 {
            test_support::poll(&base);
        }
        assert!(started.get(), "{wire:?}");
        let (input, output) = (client.input(), server.output());
        // A filter passes all of it on to the output of the one below.
        assert_eq!(output.length() > 0, wire == Wire::Sockets, "{wire:?}");
        let scratch = php_event::EventBuffer::new().unwrap();
        scratch.add("x").unwrap();
        for (call, result) in [
            ("drain", output.drain(8)),
            ("prepend", output.prepend("x")),
            ("prepend_buffer", output.prepend_buffer(&scratch)),
            ("read", read_some(&output)),
            ("add", input.add("x")),
            ("add_buffer to the input", input.add_buffer(&scratch)),
        ] {
            let error = result.expect_err(call).to_string();
            assert!(error.contains("this buffer"), "{wire:?} {call}: {error}");
        }
        assert_eq!(scratch.length(), 1);
        let all = got.clone();
        let takes = Callbacks::new().on_read(move |bev| {
            all.borrow_mut()
                .extend(bev.read(usize::MAX).unwrap().unwrap_or_default());
            if all.borrow().len() == size {
                bev.free();
            }
        });
        client.set_callbacks(takes).unwrap();
        client.enable(Event::READ).unwrap();
        server
            .set_callbacks(Callbacks::new().on_event(|bev, _| bev.free()))
            .unwrap();
        run(&base);
        assert!(*got.borrow() == data, "{wire:?}: {}", got.borrow().len());
    }
}

/// Takes bytes in every way that moves them: an empty buffer has none to refuse.
fn read_some(output: &php_event::EventBuffer) -> php_event::Result<()> {
    let other = php_event::EventBuffer::new()?;
    let refused = [
        output.read(8).map(drop),
        other.append_from(output, 8).map(drop),
        other.add_buffer(output),
    ];
    if output.length() == 0 {
        return output.drain(1);
    }
    refused.into_iter().find(Result::is_err).unwrap_or(Ok(()))?;
    unreachable!("bytes were taken");
}

/// Bytes in which every word differs.
fn numbered(size: usize) -> Vec<u8> {
    (0..size / 8)
        .flat_map(|n| format!("{n:08}").into_bytes())
        .collect()
}
