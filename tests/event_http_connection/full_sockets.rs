//! TLS connections of a client whose server does not read, so that its socket has no room.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender};

use php_event::{EventBase, EventHttpConnection, HttpError, LoopEnd};
use socket2::SockRef;
use test_support::{alone, dup, fill, limited, poll, run, take_filling};

use crate::server::{Peer, Server, cue};
use crate::transport::Transport;
use crate::{GET, POST, Told, request, until_stopped};

/// More than the sockets of a connection hold.
const LARGE: usize = 16 << 20;

/// Why the client's connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Its last handle is dropped.
    Dropped,
    /// The answer says that it is the last.
    LastAnswer,
    /// The server sends bytes that nobody has asked for.
    Unrequested,
}

/// A client whose requests were sent, and whose socket is full.
struct Full {
    base: EventBase,
    connection: EventHttpConnection,
    closed: Rc<Cell<bool>>,
    server: Server,
    /// Makes the server read.
    reads: Sender<()>,
    /// What the server reads after what fills the socket, see [`Peer::read_rest`].
    end: Receiver<(usize, bool)>,
}

fn connect(base: &EventBase, server: &Server) -> EventHttpConnection {
    let connection = Transport::Tls.connection(base, None, "127.0.0.1", server.port());
    connection.unwrap()
}

impl Full {
    fn new(cause: Cause) -> Self {
        let (tells_address, address) = cue();
        let (filled, fills) = cue();
        let (reads, waits) = cue();
        let (tells_end, end) = cue();
        let server = Server::new(Transport::Tls, move |listener| {
            let mut peer = Peer::accept(&listener);
            peer.read_request();
            peer.reply("first");
            if cause == Cause::LastAnswer {
                peer.read_request();
            }
            let client = peer.stream.socket().peer_addr().unwrap();
            tells_address.send(client).unwrap();
            let size = fills.recv().unwrap();
            match cause {
                Cause::Dropped => {}
                Cause::LastAnswer => {
                    peer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                }
                Cause::Unrequested => peer.write("HTTP/1.1 200 OK\r\n\r\n"),
            }
            waits.recv().unwrap();
            take_filling(peer.stream.socket().try_clone().unwrap(), size);
            tells_end.send(peer.read_rest()).unwrap();
        });
        let base = EventBase::new().unwrap();
        let (connection, closed) = (connect(&base, &server), Rc::new(Cell::new(false)));
        let noted = closed.clone();
        connection
            .set_close_callback(move |_| noted.set(true))
            .unwrap();
        let (first, told) = request(&base);
        connection.make_request(&first, GET, "/").unwrap();
        until_stopped(&base);
        assert_eq!(told.take(), [Told::Answer(200, "first".to_owned())]);
        if cause == Cause::LastAnswer {
            let (second, _told) = request(&base);
            connection.make_request(&second, GET, "/").unwrap();
        }
        let mut client = None;
        until(&base, || {
            client = address.try_recv().ok();
            client.is_some()
        });
        filled.send(fill(socket_of(client.unwrap()))).unwrap();
        Self {
            base,
            connection,
            closed,
            server,
            reads,
            end,
        }
    }
}

/// Turns the loop until `done`.
fn until(base: &EventBase, mut done: impl FnMut() -> bool) {
    limited(|| {
        while !done() {
            poll(base);
        }
    });
}

/// The socket of this process that is bound to an address.
fn socket_of(address: SocketAddr) -> OwnedFd {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let is_socket = |fd: &RawFd| {
        let target = std::fs::read_link(format!("/proc/self/fd/{fd}"));
        target.is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    let sockets = numbers.into_iter().filter(is_socket).map(dup);
    let is_bound = |socket: &OwnedFd| {
        let own = SockRef::from(socket).local_addr();
        own.is_ok_and(|own| own.as_socket() == Some(address))
    };
    sockets.into_iter().find(is_bound).unwrap()
}

#[test]
fn connection_that_ends_with_a_full_socket_sends_close_notify_when_the_server_reads() {
    alone(&[], || {
        for cause in [Cause::Dropped, Cause::LastAnswer, Cause::Unrequested] {
            let full = Full::new(cause);
            if cause != Cause::Dropped {
                until(&full.base, || full.closed.get());
            }
            drop(full.connection);
            for _ in 0..5 {
                poll(&full.base);
            }
            full.reads.send(()).unwrap();
            assert_eq!(run(&full.base), LoopEnd::NoEvents);
            assert_eq!(full.end.recv().unwrap(), (0, true), "{cause:?}");
            full.server.done();
        }
    });
}

/// The server must not take a part of the body for all of it, nor hold the client up.
#[test]
fn upload_that_ends_before_the_server_has_read_it_is_cut() {
    type End = fn(&EventBase, EventHttpConnection, &php_event::EventHttpRequest);
    let ends: [(&str, End); 3] = [
        ("cancelled", |base, _connection, request| {
            request.cancel().unwrap();
            assert_eq!(run(base), LoopEnd::NoEvents);
            assert_eq!(request.error(), Some(HttpError::Cancelled));
        }),
        ("dropped", |base, connection, _| {
            drop(connection);
            assert_eq!(run(base), LoopEnd::NoEvents);
        }),
        ("timed out", |base, connection, request| {
            connection.set_timeout(test_support::ms(30)).unwrap();
            until_stopped(base);
            assert_eq!(request.error(), Some(HttpError::Timeout));
        }),
    ];
    for (name, end) in ends {
        let (begun, begins) = cue();
        let (reads, waits) = cue();
        let server = Server::new(Transport::Tls, move |listener| {
            let mut peer = Peer::accept(&listener);
            let head = peer.read_head();
            assert!(head.contains(&format!("Content-Length: {LARGE}\r\n")));
            begun.send(()).unwrap();
            waits.recv().unwrap();
            let (size, is_whole) = peer.read_rest();
            assert!(size < LARGE && !is_whole, "{size}, {is_whole}");
        });
        let base = EventBase::new().unwrap();
        let connection = connect(&base, &server);
        let (upload, told) = request(&base);
        upload.get_output_buffer().add(vec![b'x'; LARGE]).unwrap();
        connection.make_request(&upload, POST, "/").unwrap();
        until(&base, || begins.try_recv().is_ok());
        for _ in 0..50 {
            poll(&base);
        }
        end(&base, connection, &upload);
        let expected: &[Told] = match name {
            "timed out" => &[Told::Null],
            _ => &[],
        };
        assert_eq!(told.take(), expected, "{name}");
        reads.send(()).unwrap();
        server.done();
    }
}
