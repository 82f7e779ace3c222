//! `EventBufferEvent::connect_host` and `get_dns_error_string`.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use php_event::{BufferEventFlags, BufferEventOptions, Callbacks, Event, EventBufferEvent};
use socket2::{Domain, Socket, Type};

use super::*;
use test_support::{Drops, pair, panic_of};

const CALL: &str = "EventBufferEvent::connectHost: ";
const ANY: AddressFamily = AddressFamily::UNSPEC;
const CONNECTED: BufferEventFlags = EventBufferEvent::CONNECTED;
const ERROR: BufferEventFlags = EventBufferEvent::ERROR;

/// What a buffer event's callback was told, and the error number at that time.
type Happened = Rc<RefCell<Vec<(BufferEventFlags, i32)>>>;

/// One that frees itself when something happens, so that the loop ends.
fn client(base: &EventBase) -> (EventBufferEvent, Happened) {
    let (bev, happened) = lasting_client(base);
    let note = happened.clone();
    bev.set_callbacks(Callbacks::new().on_event(move |bev, what| {
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap();
        let told = bev.get_dns_error_string().unwrap();
        note.borrow_mut().push((what, errno));
        bev.free();
        assert_eq!(told.is_some(), what == ERROR && errno == 0, "{told:?}");
    }))
    .unwrap();
    (bev, happened)
}

fn lasting_client(base: &EventBase) -> (EventBufferEvent, Happened) {
    let bev = EventBufferEvent::unconnected(base, BufferEventOptions::empty()).unwrap();
    (bev, Happened::default())
}

fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A server that knows `server.test`, and not `missing.test`; `silent.test` it ignores.
fn server(addresses: &[&str]) -> Server {
    let addresses = ips(addresses);
    Server::new(move |query| match &*query.name {
        "server.test" => Reply::Addresses(addresses.clone()),
        "missing.test" => Reply::Code(3),
        _ => Reply::Silence,
    })
}

/// A DNS base that has these names, and needs no time to find them.
fn knowing(base: &EventBase, hosts: &str) -> EventDnsBase {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, hosts).unwrap();
    let dns = new_dns(base);
    dns.load_hosts(&file).unwrap();
    dns
}

/// An address with a port where connecting neither succeeds nor fails.
struct Stuck {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<Socket>,
}

impl Stuck {
    /// The queue of a listener that accepts nobody is full.
    fn new(ip: Ipv4Addr, port: u16) -> Self {
        let address = SocketAddr::from((ip, port));
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while queued.len() < 2 {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.connect(&address.into()).ok();
            queued.push(socket);
        }
        Self {
            address,
            _listener: listener,
            _queued: queued,
        }
    }
}

#[test]
fn a_name_is_looked_up_and_connected_to_and_what_was_written_before_arrives() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let server = server(&["127.0.0.1"]);
    let dns = dns_with(&base, &server);
    for (host, dns) in [
        ("server.test", Some(&dns)),
        ("127.0.0.1", Some(&dns)),
        ("127.0.0.1", None),
    ] {
        let (bev, happened) = lasting_client(&base);
        let (note, read) = (happened.clone(), Rc::new(RefCell::new(Vec::new())));
        let input = read.clone();
        let callbacks = Callbacks::new()
            .on_event(move |bev, what| {
                note.borrow_mut().push((what, 0));
                assert_eq!(bev.get_dns_error_string().unwrap(), None);
            })
            .on_read(move |bev| {
                input.borrow_mut().extend(bev.read(100).unwrap().unwrap());
                bev.free();
            });
        bev.set_callbacks(callbacks).unwrap();
        bev.write("hello").unwrap();
        bev.enable(Event::READ).unwrap();
        bev.connect_host(dns, host, port, ANY).unwrap();
        assert!(
            happened.borrow().is_empty(),
            "called before `connect_host` returned"
        );
        let peer = std::thread::spawn({
            let listener = listener.try_clone().unwrap();
            move || {
                let (mut peer, _) = listener.accept().unwrap();
                let mut hello = [0; 5];
                peer.read_exact(&mut hello).unwrap();
                peer.write_all(b"world").unwrap();
                hello
            }
        });
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(&peer.join().unwrap(), b"hello");
        assert_eq!((*happened.borrow()).as_slice(), [(CONNECTED, 0)], "{host}");
        assert_eq!(*read.borrow(), b"world");
    }
}

#[test]
fn ipv6_addresses_are_hosts_too() {
    let base = EventBase::new().unwrap();
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        return; // a system without IPv6
    };
    let port = listener.local_addr().unwrap().port();
    let server = server(&["::1"]);
    let dns = dns_with(&base, &server);
    for (host, dns, family) in [
        ("::1", None, ANY),
        ("::1", Some(&dns), AddressFamily::INET6),
        ("server.test", Some(&dns), AddressFamily::INET6),
    ] {
        let (bev, happened) = client(&base);
        bev.connect_host(dns, host, port, family).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(happened.borrow()[0].0, CONNECTED);
    }
}

/// PHP blocks to look a name up without a DNS base, and hears nothing from one without servers.
#[test]
fn what_cannot_be_connected_to_is_an_error_and_the_object_may_try_again() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let (server, other) = (server(&["127.0.0.1"]), EventBase::new().unwrap());
    let (dns, empty, foreign) = (
        dns_with(&base, &server),
        new_dns(&base),
        dns_with(&other, &server),
    );
    let (bev, happened) = client(&base);
    let refused_as = |dns, host: &str, port, family, part: &str| {
        refused(bev.connect_host(dns, host, port, family), CALL, part)
    };
    refused_as(None, "server.test", port, ANY, "takes a DNS base");
    refused_as(None, "localhost", port, ANY, "takes a DNS base");
    let error = refused_as(Some(&empty), "server.test", port, ANY, "no name server");
    assert!(matches!(error, Error::State { .. }));
    refused_as(
        Some(&foreign),
        "server.test",
        port,
        ANY,
        "another event base",
    );
    for dns in [None, Some(&dns)] {
        refused_as(dns, "127.0.0.1", 0, ANY, "port 0");
        refused_as(
            dns,
            "127.0.0.1",
            port,
            AddressFamily::UNIX,
            "UNSPEC, INET or INET6",
        );
        refused_as(dns, "", port, ANY, "empty");
        refused_as(dns, "[::1", port, ANY, "brackets");
        refused_as(dns, "a\0b", port, ANY, "cannot be part");
        refused_as(dns, "a b", port, ANY, "cannot be part");
    }
    assert_eq!(run(&base), LoopEnd::NoEvents);
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.borrow()[0].0, CONNECTED);
    refused(
        bev.connect_host(Some(&dns), "server.test", port, ANY),
        "EventBufferEvent::connectHost",
        "freed",
    );
}

#[test]
fn objects_without_a_socket_to_connect_are_refused_and_stay_as_they_are() {
    let base = EventBase::new().unwrap();
    let halves = EventBufferEvent::create_pair(&base, BufferEventOptions::empty()).unwrap();
    let connected = halves.0.connect_host(None, "127.0.0.1", 1, ANY);
    let error = refused(connected, CALL, "no socket of its own");
    assert!(matches!(error, Error::State { .. }));
    let (mut ours, theirs) = pair();
    let bev = EventBufferEvent::new(&base, theirs, BufferEventOptions::empty()).unwrap();
    let connected = bev.connect_host(None, "127.0.0.1", 1, ANY);
    refused(connected, CALL, "connected already");
    bev.write("whole").unwrap();
    poll(&base);
    let mut whole = [0; 5];
    ours.read_exact(&mut whole).unwrap();
    assert_eq!(&whole, b"whole");
}

#[test]
fn a_name_that_is_not_found_is_one_error_with_its_text() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let server = server(&["127.0.0.1"]);
    let dns = dns_with(&base, &server);
    let cases = [
        ("missing.test", ANY, "the name does not exist"),
        (
            "server.test",
            AddressFamily::INET6,
            "the name has no address of that family",
        ),
        (
            "127.0.0.1",
            AddressFamily::INET6,
            "the name has no address of that family",
        ),
        (
            "::1",
            AddressFamily::INET,
            "the name has no address of that family",
        ),
        ("silent.test", ANY, "no answer came in time"),
    ];
    let start = Instant::now();
    for (host, family, text) in cases {
        let (bev, happened) = lasting_client(&base);
        let note = happened.clone();
        bev.set_callbacks(Callbacks::new().on_event(move |_, what| {
            note.borrow_mut().push((what, 0));
        }))
        .unwrap();
        if host == "silent.test" {
            bev.set_timeouts(None, Some(Duration::from_millis(50)))
                .unwrap();
        }
        assert_eq!(bev.get_dns_error_string().unwrap(), None);
        bev.connect_host(Some(&dns), host, port, family).unwrap();
        assert!(
            happened.borrow().is_empty(),
            "called before `connect_host` returned"
        );
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!((*happened.borrow()).as_slice(), [(ERROR, 0)], "{host}");
        assert_eq!(
            bev.get_dns_error_string().unwrap().as_deref(),
            Some(text),
            "{host}"
        );
        refused(
            bev.connect("127.0.0.1:1"),
            "EventBufferEvent::connect: ",
            "connected before",
        );
        bev.free();
        bev.get_dns_error_string().unwrap_err();
    }
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "the time of writing is not the lookup's"
    );
}

#[test]
fn addresses_are_tried_in_order_until_one_connects() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let refusing = ["127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.4"];
    let server = server(&refusing);
    let dns = dns_with(&base, &server);
    let (bev, happened) = client(&base);
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.borrow().len(), 1);
    assert_eq!(happened.borrow()[0].0, CONNECTED);
    listener.set_nonblocking(true).unwrap();
    listener.accept().unwrap();
    listener.accept().unwrap_err();
}

#[test]
fn when_no_address_connects_the_last_failure_is_reported_once() {
    let base = EventBase::new().unwrap();
    let port = listener().1; // closed again
    for addresses in [&["127.0.0.2"][..], &["127.0.0.2", "127.0.0.3", "127.0.0.4"]] {
        let server = server(addresses);
        let dns = dns_with(&base, &server);
        let (bev, happened) = client(&base);
        bev.connect_host(Some(&dns), "server.test", port, ANY)
            .unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(
            (*happened.borrow()).as_slice(),
            [(ERROR, libc::ECONNREFUSED)]
        );
    }
}

/// Such addresses the system refuses before it sends anything.
#[test]
fn addresses_that_are_refused_at_once_are_skipped_and_reported_later() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let server = server(&["255.255.255.255", "127.0.0.1"]);
    let dns = dns_with(&base, &server);
    let (bev, happened) = client(&base);
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.borrow()[0].0, CONNECTED);
    let (bev, happened) = client(&base);
    bev.connect_host(None, "255.255.255.255", port, ANY)
        .unwrap();
    assert!(
        happened.borrow().is_empty(),
        "called before `connect_host` returned"
    );
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.borrow()[0].0, ERROR);
    assert_ne!(happened.borrow()[0].1, 0);
}

#[test]
fn an_address_that_does_not_answer_gets_the_time_of_writing() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let stuck = Stuck::new(Ipv4Addr::new(127, 0, 0, 2), port);
    let dns = knowing(&base, "127.0.0.2 server.test\n127.0.0.1 server.test\n");
    let timeout = Some(Duration::from_millis(50));
    let start = Instant::now();
    let (bev, happened) = client(&base);
    bev.set_timeouts(None, timeout).unwrap();
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.borrow()[0].0, CONNECTED);
    assert!(
        start.elapsed() >= Duration::from_millis(40),
        "it was not stuck"
    );
    let (bev, happened) = client(&base);
    bev.set_timeouts(None, timeout).unwrap();
    bev.connect_host(None, "127.0.0.2", stuck.address.port(), ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((*happened.borrow()).as_slice(), [(ERROR, libc::ETIMEDOUT)]);
}

#[test]
fn what_waits_for_the_connection_has_its_time_when_that_stands() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let _stuck = Stuck::new(Ipv4Addr::new(127, 0, 0, 2), port);
    let dns = knowing(&base, "127.0.0.2 server.test\n127.0.0.1 server.test\n");
    for is_given in [false, true] {
        for is_early in [false, true] {
            let happened: Rc<RefCell<Vec<BufferEventFlags>>> = Rc::default();
            let bev = match is_given {
                false => EventBufferEvent::unconnected(&base, BufferEventOptions::empty()),
                true => {
                    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                    EventBufferEvent::new(&base, socket, BufferEventOptions::empty())
                }
            };
            let bev = bev.unwrap();
            let note = happened.clone();
            let callbacks = Callbacks::new().on_event(move |bev, what| {
                note.borrow_mut().push(what);
                if what == CONNECTED {
                    bev.free();
                }
            });
            bev.set_callbacks(callbacks).unwrap();
            bev.set_timeouts(None, Some(Duration::from_millis(50)))
                .unwrap();
            let write = || bev.write("hello").unwrap();
            if is_early && !is_given {
                write();
            }
            bev.connect_host(Some(&dns), "server.test", port, ANY)
                .unwrap();
            if !is_early || is_given {
                write();
            }
            assert_eq!(run(&base), LoopEnd::NoEvents);
            assert_eq!(*happened.borrow(), [CONNECTED], "{is_given} {is_early}");
        }
    }
}

#[test]
fn a_second_connect_is_refused_while_the_first_looks_up_or_connects() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let (server, stuck) = (server(&[]), Stuck::new(Ipv4Addr::LOCALHOST, 0));
    let dns = dns_with(&base, &server);
    for (host, port) in [("silent.test", port), ("127.0.0.1", stuck.address.port())] {
        let (bev, happened) = client(&base);
        bev.connect_host(Some(&dns), host, port, ANY).unwrap();
        for _ in 0..2 {
            let again = bev.connect_host(None, "127.0.0.1", port, ANY);
            refused(again, CALL, "connected before");
            refused(
                bev.connect("127.0.0.1:1"),
                "EventBufferEvent::connect: ",
                "connected before",
            );
            poll(&base);
        }
        drop(bev);
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert!(happened.borrow().is_empty());
    }
}

#[test]
fn freed_dropped_or_closed_while_it_looks_up_or_connects_nothing_happens_any_more() {
    let base = EventBase::new().unwrap();
    let (server, stuck) = (server(&["127.0.0.1"]), Stuck::new(Ipv4Addr::LOCALHOST, 0));
    let dns = dns_with(&base, &server);
    type End = fn(EventBufferEvent) -> Option<EventBufferEvent>;
    let ends: [End; 3] = [
        |bev| {
            bev.free();
            Some(bev)
        },
        |bev| {
            drop(bev);
            None
        },
        |bev| {
            bev.close().unwrap();
            let again = bev.connect_host(None, "127.0.0.1", 1, ANY);
            refused(again, CALL, "closed");
            bev.close().unwrap_err();
            Some(bev)
        },
    ];
    for end in ends {
        for host in ["silent.test", "server.test", "127.0.0.1"] {
            for turns in 0..4 {
                let drops = Drops::default();
                let (bev, _) = lasting_client(&base);
                let token = drops.token();
                let callbacks = Callbacks::new().on_event(move |_, _| {
                    token.hold();
                    panic!("called");
                });
                bev.set_callbacks(callbacks).unwrap();
                let port = stuck.address.port();
                bev.connect_host(Some(&dns), host, port, ANY).unwrap();
                for _ in 0..turns {
                    poll(&base);
                }
                let rest = end(bev);
                assert_eq!(run(&base), LoopEnd::NoEvents);
                drop(rest);
                assert_eq!(drops.count(), 1);
            }
        }
    }
}

#[test]
fn the_dns_base_dropped_meanwhile_is_an_error_of_the_lookup() {
    let base = EventBase::new().unwrap();
    let server = server(&[]);
    let dns = dns_with(&base, &server);
    let (bev, happened) = client(&base);
    bev.connect_host(Some(&dns), "silent.test", 1, ANY).unwrap();
    drop(dns);
    assert!(happened.borrow().is_empty());
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!((*happened.borrow()).as_slice(), [(ERROR, 0)]);
}

#[test]
fn without_callbacks_it_still_connects_and_sends() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let server = server(&["127.0.0.2", "127.0.0.1"]);
    let dns = dns_with(&base, &server);
    let (bev, _) = lasting_client(&base);
    bev.write("quietly").unwrap();
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    limited(|| {
        while bev.output().length() > 0 {
            base.r#loop(EventBase::LOOP_ONCE).unwrap();
        }
    });
    drop(bev);
    let mut text = String::new();
    listener
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, "quietly");
}

#[test]
fn the_socket_that_it_was_made_with_is_the_one_that_connects() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let server = server(&["::1", "127.0.0.2", "127.0.0.1"]);
    let dns = dns_with(&base, &server);
    let socket = Rc::new(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap());
    let bev = EventBufferEvent::new(&base, socket.clone(), BufferEventOptions::empty()).unwrap();
    let (happened, number) = (Rc::new(Cell::new(None)), bev.fd());
    assert!(number.is_some());
    let note = happened.clone();
    let callbacks = Callbacks::new().on_event(move |bev, what| {
        note.set(Some((what, bev.fd())));
        bev.disable(Event::READ | Event::WRITE).unwrap();
    });
    bev.set_callbacks(callbacks).unwrap();
    bev.write("early").unwrap();
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(bev.fd(), None); // libevent would write to it
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.get(), Some((CONNECTED, number)));
    let peer = listener.accept().unwrap().1;
    assert_eq!(socket.local_addr().unwrap().as_socket(), Some(peer));
    drop(bev);
    assert_eq!(Rc::strong_count(&socket), 1);
}

#[test]
fn a_socket_that_cannot_connect_is_an_error_and_stays_as_it_is() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let address = listener.local_addr().unwrap();
    let bev = EventBufferEvent::new(&base, listener, BufferEventOptions::empty()).unwrap();
    let happened = Rc::new(Cell::new(None));
    let note = happened.clone();
    bev.set_callbacks(Callbacks::new().on_event(move |_, what| note.set(Some(what))))
        .unwrap();
    bev.connect_host(None, "127.0.0.1", port, ANY).unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.get(), Some(ERROR));
    TcpStream::connect(address).expect("it does not listen any more");
}

/// The address before it is still being tried, on the same socket.
#[test]
fn the_socket_that_it_was_made_with_leaves_an_address_that_does_not_answer() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let _stuck = Stuck::new(Ipv4Addr::new(127, 0, 0, 2), port);
    let dns = knowing(&base, "127.0.0.2 server.test\n127.0.0.1 server.test\n");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let bev = EventBufferEvent::new(&base, socket, BufferEventOptions::empty()).unwrap();
    let happened = Rc::new(Cell::new(None));
    let note = happened.clone();
    bev.set_callbacks(Callbacks::new().on_event(move |bev, what| {
        note.set(Some(what));
        bev.free();
    }))
    .unwrap();
    bev.set_timeouts(None, Some(Duration::from_millis(50)))
        .unwrap();
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(happened.get(), Some(CONNECTED));
    listener.accept().unwrap();
}

#[test]
fn a_socket_that_was_given_is_closed_with_the_object_in_the_middle_of_it() {
    let base = EventBase::new().unwrap();
    let (server, stuck) = (server(&[]), Stuck::new(Ipv4Addr::LOCALHOST, 0));
    let dns = dns_with(&base, &server);
    for host in ["silent.test", "127.0.0.1"] {
        for close in [true, false] {
            let socket = Rc::new(Socket::new(Domain::IPV4, Type::STREAM, None).unwrap());
            let options = BufferEventOptions::empty();
            let bev = EventBufferEvent::new(&base, socket.clone(), options).unwrap();
            bev.connect_host(Some(&dns), host, stuck.address.port(), ANY)
                .unwrap();
            for _ in 0..3 {
                poll(&base);
            }
            if close {
                bev.close().unwrap();
            } else {
                bev.free();
            }
            assert_eq!(Rc::strong_count(&socket), 1, "{host}");
            assert_eq!(run(&base), LoopEnd::NoEvents);
        }
    }
}

#[test]
fn freed_and_panicking_in_the_event_callback_everything_is_freed() {
    let base = EventBase::new().unwrap();
    let (_listener, port) = listener();
    let server = server(&["127.0.0.2", "127.0.0.1"]);
    let dns = dns_with(&base, &server);
    for host in ["server.test", "missing.test"] {
        let drops = Drops::default();
        let (bev, _) = lasting_client(&base);
        let (token, slot) = (drops.token(), Rc::new(RefCell::new(None)));
        let own = slot.clone();
        let callbacks = Callbacks::new().on_event(move |_, _| {
            token.hold();
            drop(own.take());
            panic!("told");
        });
        bev.set_callbacks(callbacks).unwrap();
        bev.connect_host(Some(&dns), host, port, ANY).unwrap();
        slot.replace(Some(bev));
        assert_eq!(panic_of(|| run(&base)), "told");
        assert_eq!(drops.count(), 1);
        assert_eq!(run(&base), LoopEnd::NoEvents);
    }
}

#[test]
fn left_undone_when_the_base_goes_nothing_leaks() {
    let (server, stuck) = (server(&["127.0.0.1"]), Stuck::new(Ipv4Addr::LOCALHOST, 0));
    for order in 0..3 {
        for host in ["silent.test", "server.test", "127.0.0.1"] {
            let base = EventBase::new().unwrap();
            let dns = dns_with(&base, &server);
            let drops = Drops::default();
            let (bev, _) = lasting_client(&base);
            let token = drops.token();
            bev.set_callbacks(Callbacks::new().on_event(move |_, _| token.hold()))
                .unwrap();
            bev.connect_host(Some(&dns), host, stuck.address.port(), ANY)
                .unwrap();
            poll(&base);
            match order {
                0 => drop((base, dns, bev)),
                1 => drop((bev, dns, base)),
                _ => drop((dns, base, bev)),
            }
            assert_eq!(drops.count(), 1);
        }
    }
}

#[test]
fn a_name_whose_peer_goes_at_once_is_connected_and_then_at_its_end() {
    let base = EventBase::new().unwrap();
    let (listener, port) = listener();
    let server = server(&["127.0.0.1"]);
    let dns = dns_with(&base, &server);
    let (bev, happened) = lasting_client(&base);
    let note = happened.clone();
    let callbacks = Callbacks::new().on_event(move |bev, what| {
        note.borrow_mut().push((what, 0));
        if what != CONNECTED {
            bev.free();
        }
    });
    bev.set_callbacks(callbacks).unwrap();
    bev.enable(Event::READ).unwrap();
    bev.connect_host(Some(&dns), "server.test", port, ANY)
        .unwrap();
    let peer = std::thread::spawn(move || drop::<(TcpStream, _)>(listener.accept().unwrap()));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    peer.join().unwrap();
    let happened = happened
        .take()
        .into_iter()
        .map(|(what, _)| what)
        .collect::<Vec<_>>();
    assert_eq!(
        happened,
        [CONNECTED, EventBufferEvent::READING | EventBufferEvent::EOF]
    );
}
