//! `connect`: addresses, what comes of them, and when.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use php_event::{
    BufferEventOptions, Callbacks, Error, Event, EventBase, EventBufferEvent, LoopEnd,
};
use socket2::{Domain, SockAddr, Socket, Type};

use super::{BOTH, PLAIN, argument, connected, notes, refused, sockets, state};
use test_support::{Seen, alone, new_base, run};

fn unconnected(base: &EventBase) -> (EventBufferEvent, Seen<String>) {
    let bev = EventBufferEvent::unconnected(base, PLAIN).unwrap();
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    (bev, seen)
}

fn listen(address: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

/// The address of a port on which nobody listens.
fn nobody() -> String {
    listen("127.0.0.1:0").1
}

fn accept(listener: &TcpListener) -> TcpStream {
    let peer = listener.accept().unwrap().0;
    peer.set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    peer
}

#[test]
fn numeric_addresses_of_all_kinds_connect() {
    let base = new_base();
    for host in ["127.0.0.1:0", "[::1]:0"] {
        let (listener, address) = listen(host);
        let (bev, seen) = unconnected(&base);
        bev.connect(&address).unwrap();
        assert!(bev.fd().is_some());
        assert!(seen.take().is_empty(), "nothing is told inside the call");
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), ["event 128"], "{host}");
        drop(listener);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    for scheme in ["unix", "UNIX", "Unix"] {
        let (bev, seen) = unconnected(&base);
        bev.connect(&format!("{scheme}:{}", path.display()))
            .unwrap();
        assert!(seen.take().is_empty(), "nothing is told inside the call");
        run(&base);
        assert_eq!(seen.take(), ["event 128"]);
    }
}

#[test]
fn what_is_no_numeric_address_is_refused_and_another_may_be_tried() {
    let base = new_base();
    let (bev, seen) = unconnected(&base);
    let long = format!("unix:/{}", "x".repeat(200));
    for (address, words) in [
        ("", "no port"),
        ("localhost:80", "connect_host"),
        ("localhost", "no port"),
        ("1.2.3:80", "connect_host"),
        ("127.1:80", "connect_host"),
        ("0x7f.0.0.1:80", "connect_host"),
        ("127.0.0.1", "no port"),
        ("::1", "brackets"),
        ("[::1]", "no port"),
        ("127.0.0.1:0", "port 0"),
        ("127.0.0.1:", "not a number from 0 to 65535"),
        ("127.0.0.1:65536", "not a number from 0 to 65535"),
        ("127.0.0.1:-1", "not a number from 0 to 65535"),
        ("127.0.0.1:+80", "not a number from 0 to 65535"),
        ("[::1]:99999", "not a number from 0 to 65535"),
        (" 127.0.0.1:80", "cannot be part of a host name"),
        ("127.0.0.1:80\0", "not a number from 0 to 65535"),
        ("unix:", "empty"),
        (&long, "path"),
        ("unix:/tmp/a\0b", "path"),
    ] {
        let error = bev.connect(address).expect_err(address);
        assert!(argument(&error), "{address:?}: {error:?}");
        assert!(error.to_string().contains(words), "{address:?}: {error}");
        assert_eq!(error.call(), "EventBufferEvent::connect");
        assert_eq!(bev.fd(), None);
    }
    let missing = bev.connect("unix:/nonexistent/socket").unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert_eq!(bev.fd(), None);
    run(&base);
    assert!(seen.take().is_empty());
    let (_listener, address) = listen("127.0.0.1:0");
    bev.connect(&address).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["event 128"]);
}

#[test]
fn refused_is_32_with_its_error_number_and_the_bits_stay() {
    let base = new_base();
    for enabled in [Event::WRITE, BOTH] {
        let seen = Seen::new();
        let (bev, note) = (
            EventBufferEvent::unconnected(&base, PLAIN).unwrap(),
            seen.clone(),
        );
        bev.set_callbacks(Callbacks::new().on_event(move |_, what| {
            note.note((
                what.bits(),
                io::Error::last_os_error().raw_os_error().unwrap(),
            ));
        }))
        .unwrap();
        bev.enable(enabled).unwrap();
        bev.write("never sent").unwrap();
        bev.connect(&nobody()).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), [(32, libc::ECONNREFUSED)]);
        assert_eq!(bev.get_enabled().unwrap(), enabled);
        assert!(bev.fd().is_some());
        refused(bev.connect(&nobody()), state, "connected before");
    }
}

#[test]
fn a_unix_socket_without_a_listener_is_refused_at_once() {
    let base = new_base();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let deaf = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    deaf.bind(&SockAddr::unix(&path).unwrap()).unwrap(); // and no `listen`
    let (bev, seen) = unconnected(&base);
    let error = bev
        .connect(&format!("unix:{}", path.display()))
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    run(&base);
    assert!(seen.take().is_empty());
}

#[test]
fn a_client_hears_connected_then_written_then_data_then_the_end() {
    let base = new_base();
    let (listener, address) = listen("127.0.0.1:0");
    let (bev, seen) = unconnected(&base);
    bev.enable(Event::READ).unwrap();
    bev.write("question").unwrap();
    bev.connect(&address).unwrap();
    let server = std::thread::spawn(move || {
        let mut peer = accept(&listener);
        let mut question = [0; 8];
        peer.read_exact(&mut question).unwrap();
        io::Write::write_all(&mut peer, b"answer").unwrap();
        question
    });
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(&server.join().unwrap(), b"question");
    assert_eq!(
        seen.take(),
        ["event 128", "write", "read answer", "event 17"]
    );
}

#[test]
fn what_has_a_peer_or_had_one_or_can_have_none_is_not_connected() {
    let base = new_base();
    let (_listener, address) = listen("127.0.0.1:0");
    let (bev, _seen) = unconnected(&base);
    bev.connect(&address).unwrap();
    refused(bev.connect(&address), state, "connected before");
    run(&base);
    refused(bev.connect(&address), state, "connected before");

    let given = TcpStream::connect(&address).unwrap();
    let given = EventBufferEvent::new(&base, given, PLAIN).unwrap();
    let error = given.connect(&address).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    given.close().unwrap();
    refused(given.connect(&address), state, "closed");

    let (half, other) = EventBufferEvent::create_pair(&base, PLAIN).unwrap();
    refused(half.connect(&address), state, "no socket of its own");
    let filter = EventBufferEvent::create_filter(&other, Default::default(), PLAIN).unwrap();
    refused(filter.connect(&address), state, "no socket of its own");
}

#[test]
fn a_socket_that_was_given_is_connected_itself() {
    let base = new_base();
    let (listener, address) = listen("127.0.0.1:0");
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let fd = socket.as_raw_fd();
    let bev = EventBufferEvent::new(&base, socket, PLAIN).unwrap();
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.connect(&address).unwrap();
    assert_eq!(bev.fd(), Some(fd));
    run(&base);
    assert_eq!(seen.take(), ["event 128"]);
    let peer = accept(&listener);
    drop(peer);
}

#[test]
fn the_far_ends_of_the_buffers_stay_the_loops() {
    let base = new_base();
    let (_listener, address) = listen("127.0.0.1:0");
    let (bev, _seen) = unconnected(&base);
    bev.write("hello").unwrap();
    bev.connect(&address).unwrap();
    assert!(matches!(bev.input().add("x"), Err(Error::State { .. })));
    assert!(matches!(bev.output().drain(1), Err(Error::State { .. })));
}

#[test]
fn freed_while_connecting_it_hears_nothing_and_its_socket_closes() {
    let base = new_base();
    let (listener, address) = listen("127.0.0.1:0");
    let (bev, seen) = unconnected(&base);
    bev.write("never sent").unwrap();
    bev.connect(&address).unwrap();
    bev.free();
    let mut peer = accept(&listener);
    assert_eq!(peer.read(&mut [0; 9]).unwrap(), 0);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(seen.take().is_empty());
}

/// While it connects, libevent keeps its event in the backend whatever is disabled: the
/// number, used again, must not wake it.
#[test]
fn freed_in_its_own_callback_while_connecting_it_leaves_nothing_in_the_backend() {
    alone(&[], || {
        let base = new_base();
        let (_listener, address) = full();
        let bev = EventBufferEvent::unconnected(&base, PLAIN).unwrap();
        let seen = Seen::new();
        let (note, late) = (seen.clone(), seen.clone());
        let other = base.clone();
        bev.set_callbacks(Callbacks::new().on_event(move |bev, what| {
            note.note(format!("event {}", what.bits()));
            let fd = bev.fd().unwrap();
            bev.free();
            let (ours, theirs) = sockets();
            assert_eq!(ours.as_raw_fd().min(theirs.as_raw_fd()), fd, "used again");
            let (again, peer) = if ours.as_raw_fd() == fd {
                (ours, theirs)
            } else {
                (theirs, ours)
            };
            let late = late.clone();
            let writable = Event::new(&other, again, Event::WRITE, move |_, _, _| {
                late.note("writable".to_owned());
                drop(peer.shutdown(Shutdown::Both));
            })
            .unwrap();
            writable.add(None).unwrap();
            writable.detach();
        }))
        .unwrap();
        bev.set_timeouts(Some(Duration::from_millis(5)), None)
            .unwrap();
        bev.enable(Event::READ).unwrap();
        bev.connect(&address).unwrap();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(seen.take(), ["event 65", "writable"]);
    });
}

/// A listener whose queue is full, so that a connect to it does not come to an end.
fn full() -> ((TcpListener, Vec<Socket>), String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let waiting = (0..4).map(|_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.connect(&address.into()).ok();
        socket
    });
    let waiting = waiting.collect();
    ((listener, waiting), address.to_string())
}

#[test]
fn disabled_while_connecting_it_still_reports_and_sends_when_enabled() {
    let base = new_base();
    let (listener, address) = listen("127.0.0.1:0");
    let (bev, seen) = unconnected(&base);
    bev.connect(&address).unwrap();
    bev.disable(BOTH).unwrap();
    bev.write("hello").unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), ["event 128"]);
    bev.enable(Event::WRITE).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["write"]);
    let mut peer = accept(&listener);
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
}

#[test]
fn deferred_it_connects_in_the_same_order() {
    let base = new_base();
    let (_listener, address) = listen("127.0.0.1:0");
    let options = EventBufferEvent::OPT_DEFER_CALLBACKS | BufferEventOptions::CLOSE_ON_FREE;
    let bev = EventBufferEvent::unconnected(&base, options).unwrap();
    let seen = Seen::new();
    bev.set_callbacks(notes(&seen)).unwrap();
    bev.write("hello").unwrap();
    bev.connect(&address).unwrap();
    run(&base);
    assert_eq!(seen.take(), ["event 128", "write"]);
}

#[test]
fn a_connected_pair_of_sockets_needs_no_connect() {
    let base = new_base();
    let (bev, _peer) = connected(&base);
    assert!(matches!(bev.connect("127.0.0.1:9"), Err(Error::Io { .. })));
}
