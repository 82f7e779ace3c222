//! Peers that send thousands of messages that are no data.

use std::cell::Cell;
use std::io::{ErrorKind, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use php_event::{Callbacks, Event, EventBase, EventBufferEvent};

use crate::peers::{ACCEPTING, CONNECTING, ERROR, NO_OPTIONS, Seen, World, noting};
use test_support::poll;
use test_support::tls::Flooder;

#[test]
fn peer_that_changes_its_keys_without_end_leaves_turns_to_others() {
    for (state, is_filter) in [
        (CONNECTING, false),
        (CONNECTING, true),
        (ACCEPTING, false),
        (ACCEPTING, true),
    ] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (context, peer) = if state == CONNECTING {
            let identity = world.authority.sign(&["localhost"]);
            (world.client(), Flooder::server(&identity, theirs))
        } else {
            (world.server(), Flooder::client(theirs))
        };
        let tls = if is_filter {
            let under = EventBufferEvent::new(&base, ours, NO_OPTIONS).unwrap();
            EventBufferEvent::create_ssl_filter(&under, &context, state, NO_OPTIONS).unwrap()
        } else {
            EventBufferEvent::ssl_socket(&base, ours, &context, state, NO_OPTIONS).unwrap()
        };
        if state == CONNECTING {
            tls.set_ssl_host("localhost").unwrap();
        }
        let got = Rc::new(Cell::new(false));
        let note = got.clone();
        let reads = Callbacks::new().on_read(move |bev| {
            assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"hello"[..]));
            note.set(true);
        });
        tls.set_callbacks(reads).unwrap();
        tls.enable(Event::READ).unwrap();
        peer.flood(&base, b"hello", || got.get());
    }
}

/// OpenSSL skips such requests in a handshake. They are in the clear: anybody can send them.
#[test]
fn server_that_requests_a_handshake_without_end_leaves_turns_to_others() {
    const REQUEST: &[u8] = b"\x16\x03\x03\0\x04\0\0\0\0";
    const TURN_MAX: usize = 16 * 1024;
    let requests = REQUEST.repeat(20_000);
    for connects in [false, true] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let context = world.client();
        let tls = if connects {
            let tls = EventBufferEvent::ssl_unconnected(&base, &context, CONNECTING, NO_OPTIONS);
            let tls = tls.unwrap();
            tls.connect(&address.to_string()).unwrap();
            tls
        } else {
            let socket = TcpStream::connect(address).unwrap();
            let tls = EventBufferEvent::ssl_socket(&base, socket, &context, CONNECTING, NO_OPTIONS);
            tls.unwrap()
        };
        let seen = Seen::default();
        tls.set_callbacks(noting(&seen, "client")).unwrap();
        tls.enable(Event::READ).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        let (mut left, mut turns) = (&requests[..], 0);
        while !left.is_empty() {
            match peer.write(left) {
                Ok(sent) => left = &left[sent..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            poll(&base);
            turns += 1;
            assert!(turns < requests.len(), "it is not read, {connects}");
        }
        drop(peer);
        while seen.of("client").is_empty() {
            poll(&base);
            turns += 1;
            assert!(turns < requests.len(), "it does not end, {connects}");
        }
        assert_eq!(seen.of("client"), [ERROR], "{connects}");
        assert!(
            turns >= requests.len() / TURN_MAX,
            "{turns} turns, {connects}"
        );
    }
}
