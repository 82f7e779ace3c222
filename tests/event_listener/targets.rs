//! What a listener listens on: addresses that it binds, and sockets that it is given.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::rc::Rc;
use std::time::Duration;

use php_event::stream::{
    ContextOptions, Stream, StreamContext, fclose, stream_context_create, stream_socket_accept,
    stream_socket_get_name, stream_socket_pair, stream_socket_server,
};
use php_event::{
    Error, EventBase, EventListener, ListenerFlags, ListenerTarget, Result, SocketName,
};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{NO_FLAGS, closes, connect, is_open};
use test_support::{FreesBase, run_once};

/// A listener that counts its connections, for a target.
fn on(
    base: &EventBase,
    flags: ListenerFlags,
    backlog: i32,
    target: impl Into<ListenerTarget>,
) -> Result<(EventListener, Peers)> {
    let peers = Peers::default();
    let seen = peers.clone();
    let callback = move |_: &EventListener, _: Stream, peer| seen.borrow_mut().push(peer);
    EventListener::new(base, callback, flags, backlog, target).map(|listener| (listener, peers))
}

type Peers = Rc<RefCell<Vec<Option<SocketAddr>>>>;

fn ip(listener: &EventListener) -> SocketAddr {
    listener.get_socket_name().unwrap().ip().unwrap()
}

#[test]
fn an_ip_address_as_text_or_as_a_value_is_bound() {
    let base = EventBase::new().unwrap();
    let targets: [ListenerTarget; 5] = [
        "127.0.0.1:0".into(),
        String::from("[::1]:0").into(),
        (&String::from("127.0.0.1:00000")).into(),
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
        SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 0)).into(),
    ];
    for target in targets {
        let text = format!("{target:?}");
        let (listener, peers) = on(&base, NO_FLAGS, 5, target).unwrap();
        assert_ne!(ip(&listener).port(), 0, "{text}");
        let client = connect(ip(&listener));
        run_once(&base);
        assert_eq!(peers.take(), [Some(client.local_addr().unwrap())], "{text}");
    }
}

#[test]
fn ipv4_reaches_a_listener_on_every_address_of_ipv6() {
    let base = EventBase::new().unwrap();
    let (listener, peers) = on(&base, NO_FLAGS, -1, "[::]:0").unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ip(&listener).port()));
    let client = connect(address);
    run_once(&base);
    let peer = peers.borrow()[0].unwrap();
    assert_eq!(peer.port(), client.local_addr().unwrap().port());
    assert_eq!(
        peer.to_string(),
        format!("[::ffff:127.0.0.1]:{}", peer.port())
    );
}

#[test]
fn a_unix_path_is_bound_and_stays_when_the_listener_goes() {
    let base = EventBase::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for prefix in ["unix:", "UNIX:", "Unix:"] {
        let path = folder.path().join(prefix);
        let target = format!("{prefix}{}", path.display());
        let (listener, peers) = on(&base, NO_FLAGS, -1, &target).unwrap();
        assert_eq!(
            listener.get_socket_name().unwrap(),
            SocketName::Path(path.clone())
        );
        let _client = UnixStream::connect(&path).unwrap();
        run_once(&base);
        assert_eq!(peers.take(), [None]);
        let bound = UnixListener::bind(folder.path().join(format!("{prefix} peer"))).unwrap();
        let from = Socket::from(OwnedFd::from(bound));
        from.connect(&SockAddr::unix(&path).unwrap()).unwrap_err(); // it listens
        let named = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let own = folder.path().join(format!("{prefix} client"));
        named.bind(&SockAddr::unix(own).unwrap()).unwrap();
        named.connect(&SockAddr::unix(&path).unwrap()).unwrap();
        run_once(&base);
        assert_eq!(peers.take(), [None]); // a path of its own is no IP address
        drop(listener);
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        let error = on(&base, NO_FLAGS, -1, &target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&target), "{error}");
    }
}

#[test]
fn an_abstract_name_is_bound() {
    let base = EventBase::new().unwrap();
    let name = format!("php-event listener {}", std::process::id());
    let (listener, _peers) = on(&base, NO_FLAGS, -1, format!("unix:\0{name}")).unwrap();
    let expected = SocketName::Abstract(name.into_bytes().into());
    assert_eq!(listener.get_socket_name().unwrap(), expected);
}

/// PHP's port text goes through C's `atoi` and 16 bits, so that 99999 is 34463.
#[test]
fn an_address_that_cannot_be_read_is_refused_and_the_error_says_what_is_wrong() {
    let base = EventBase::new().unwrap();
    let port = |text: &str| format!("the port {text:?} is not a number from 0 to 65535");
    let cases = [
        ("127.0.0.1:99999", port("99999")),
        ("127.0.0.1:65536", port("65536")),
        ("127.0.0.1:-1", port("-1")),
        ("127.0.0.1:+80", port("+80")),
        ("127.0.0.1:http", port("http")),
        ("127.0.0.1: 80", port(" 80")),
        ("127.0.0.1:80 ", port("80 ")),
        ("127.0.0.1:", port("")),
        ("[::1]:", port("")),
        ("127.0.0.1", "no port".to_owned()),
        ("", "no port".to_owned()),
        ("80", "no port".to_owned()),
        ("::1:80", "needs brackets".to_owned()),
        ("::1", "needs brackets".to_owned()),
        (":80", "write 0.0.0.0:80 or [::]:80".to_owned()),
        ("localhost:80", "names are not resolved".to_owned()),
        (
            "udp://127.0.0.1:80",
            "the scheme is not supported".to_owned(),
        ),
        ("127.0.0.1.1:80", "is no IP address".to_owned()),
        ("127.0.0.1\0:80", "cannot be part".to_owned()),
        ("unix:", "the path is empty".to_owned()),
        ("unix:/tmp/a\0b", "holds a NUL".to_owned()),
        ("unix", "no port".to_owned()),
    ];
    for (text, expected) in cases {
        let error = on(&base, NO_FLAGS, -1, text).unwrap_err();
        assert!(
            matches!(error, Error::Argument { .. }),
            "{text:?}: {error:?}"
        );
        let start = format!("EventListener::__construct: {text:?}: ");
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(error.to_string().contains(&expected), "{error}");
    }
    let long = format!("unix:/tmp/{}", "s".repeat(200));
    let error = on(&base, NO_FLAGS, -1, &long).unwrap_err();
    assert!(
        error.to_string().contains("longer than the system allows"),
        "{error}"
    );
}

#[test]
fn an_address_that_cannot_be_bound_is_named_with_its_cause() {
    let base = EventBase::new().unwrap();
    let (listener, _peers) = on(&base, NO_FLAGS, -1, "127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let cases = [
        (ip(&listener).to_string(), ErrorKind::AddrInUse, "in use"),
        ("192.0.2.1:0".into(), ErrorKind::AddrNotAvailable, "assign"),
        (
            "unix:/nonesuch/socket".into(),
            ErrorKind::NotFound,
            "No such file",
        ),
        (
            format!("unix:{}", file.display()),
            ErrorKind::AddrInUse,
            "in use",
        ),
    ];
    for (text, kind, cause) in cases {
        let error = on(&base, NO_FLAGS, -1, &text).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let start = format!("EventListener::__construct: {text}: ");
        assert!(error.to_string().starts_with(&start), "{error}");
        assert!(error.to_string().contains(cause), "{error}");
    }
}

#[test]
fn flags_and_backlogs_that_fit_no_address_are_refused() {
    let base = EventBase::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = format!("unix:{}", folder.path().join("socket").display());
    let deferred = EventListener::OPT_DEFERRED_ACCEPT;
    let threads = EventListener::OPT_THREADSAFE | EventListener::OPT_REUSEABLE;
    for (flags, backlog, target, text) in [
        (NO_FLAGS, 0, "127.0.0.1:0", "a backlog of 0"),
        (NO_FLAGS, 0, &path, "a backlog of 0"),
        (deferred, -1, &path, "OPT_DEFERRED_ACCEPT is for TCP"),
        (threads, -1, "127.0.0.1:0", "OPT_THREADSAFE"),
        (threads, -1, &path, "OPT_THREADSAFE"),
    ] {
        let error = on(&base, flags, backlog, target).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("EventListener::__construct: ")
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let unknown = ListenerFlags::from_bits_retain(1 << 20);
    drop(on(&base, unknown, -1, "127.0.0.1:0").unwrap()); // as in PHP
}

/// PHP's listener would wait in the second accept for ever: its socket blocks.
#[test]
fn a_given_socket_that_blocks_does_not_hang_the_loop() {
    for flags in [NO_FLAGS, EventListener::OPT_LEAVE_SOCKETS_BLOCKING] {
        let base = EventBase::new().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (_listener, peers) = on(&base, flags, 0, socket).unwrap();
        let _client = connect(address);
        run_once(&base);
        assert_eq!(peers.borrow().len(), 1);
    }
}

#[test]
fn sockets_of_every_kind_are_listened_on() {
    let base = EventBase::new().unwrap();
    let server = || stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default()).unwrap();
    let bound = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).unwrap();
        socket
    };
    let targets: [(ListenerTarget, i32); 6] = [
        (server().into(), 0),
        ((&server()).into(), -1),
        (TcpListener::bind("127.0.0.1:0").unwrap().into(), 0),
        (OwnedFd::from(bound()).into(), 5),
        (ListenerTarget::socket(bound()), -1),
        (ListenerTarget::socket(Rc::new(bound())), 1),
    ];
    for (target, backlog) in targets {
        let (listener, peers) = on(&base, NO_FLAGS, backlog, target).unwrap();
        let client = connect(ip(&listener));
        run_once(&base);
        assert_eq!(peers.take(), [Some(client.local_addr().unwrap())]);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).unwrap();
    let (_listener, peers) = on(&base, NO_FLAGS, 0, unix).unwrap();
    let _client = UnixStream::connect(&path).unwrap();
    run_once(&base);
    assert_eq!(peers.take(), [None]);
}

#[test]
fn what_cannot_listen_is_refused() {
    let base = EventBase::new().unwrap();
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    bound
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let unbound = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    let (one, other) = stream_socket_pair().unwrap();
    let (reader, writer) = io::pipe().unwrap();
    let udp = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let cases: [(ListenerTarget, i32, &str); 8] = [
        (ListenerTarget::socket(bound), 0, "it does not listen"),
        (ListenerTarget::socket(unbound), -1, "Invalid argument"),
        (one.into(), 0, "it does not listen"),
        (other.into(), -1, "Invalid argument"),
        (OwnedFd::from(reader).into(), 0, "non-socket"),
        (OwnedFd::from(writer).into(), -1, "non-socket"),
        (ListenerTarget::socket(udp()), 0, "it does not listen"),
        (ListenerTarget::socket(udp()), 5, "not supported"),
    ];
    for (target, backlog, text) in cases {
        let error = on(&base, NO_FLAGS, backlog, target).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        let start = "EventListener::__construct: the given socket: ";
        assert!(error.to_string().starts_with(start), "{error}");
        assert!(error.to_string().contains(text), "{error}");
    }
}

#[test]
fn a_socket_closes_with_its_last_owner() {
    let base = EventBase::new().unwrap();
    for flags in [NO_FLAGS, EventListener::OPT_CLOSE_ON_FREE] {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = connect(socket.local_addr().unwrap());
        let (listener, _peers) = on(&base, flags, 0, socket).unwrap();
        is_open(&client);
        listener.free();
        closes(&client);

        let (listener, _peers) = on(&base, flags, -1, "127.0.0.1:0").unwrap();
        let client = connect(ip(&listener));
        drop(listener);
        closes(&client);

        let socket = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let client = connect(socket.local_addr().unwrap());
        let target = ListenerTarget::socket(socket.clone());
        drop(on(&base, flags, 0, target).unwrap());
        is_open(&client);
        socket.accept().unwrap();
    }
}

#[test]
fn a_stream_closed_elsewhere_still_serves_as_the_listeners_socket() {
    let base = EventBase::new().unwrap();
    let context = stream_context_create(ContextOptions::new().so_reuseport(true));
    let server = stream_socket_server("tcp://127.0.0.1:0", &context).unwrap();
    let address = stream_socket_get_name(&server, false).unwrap();
    let (listener, peers) = on(&base, NO_FLAGS, 0, &server).unwrap();
    fclose(&server).unwrap();
    assert!(stream_socket_accept(&server, Duration::ZERO).is_err());
    assert_eq!(ip(&listener).to_string(), address);
    let _client = connect(address.parse().unwrap());
    run_once(&base);
    assert_eq!(peers.borrow().len(), 1);
    let client = connect(address.parse().unwrap());
    listener.free();
    is_open(&client);
    drop(server);
    closes(&client);
}

/// Runs other calls of the library each time it is asked for its descriptor.
struct Busy {
    socket: TcpListener,
    asked: Rc<Cell<u32>>,
    base: EventBase,
    other: EventListener,
}

impl AsFd for Busy {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.set(self.asked.get() + 1);
        self.other.free();
        drop(on(&self.base, NO_FLAGS, -1, "127.0.0.1:0").unwrap());
        self.socket.as_fd()
    }
}

#[test]
fn a_given_socket_is_asked_for_its_descriptor_once() {
    let base = EventBase::new().unwrap();
    let (other, _peers) = on(&base, NO_FLAGS, -1, "127.0.0.1:0").unwrap();
    let asked = Rc::new(Cell::new(0));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = Busy {
        socket,
        asked: asked.clone(),
        base: base.clone(),
        other,
    };
    let target = ListenerTarget::socket(busy);
    let (listener, peers) = on(&base, NO_FLAGS, -1, target).unwrap();
    let client = connect(ip(&listener));
    run_once(&base);
    assert_eq!(peers.take(), [Some(client.local_addr().unwrap())]);
    listener.disable().unwrap();
    listener.enable().unwrap();
    assert!(listener.fd().is_some());
    listener.free();
    assert_eq!(asked.get(), 1);
}

#[test]
fn a_given_socket_that_frees_the_base_when_asked_is_refused_and_closed() {
    for flags in [NO_FLAGS, EventListener::OPT_DISABLED] {
        let base = EventBase::new().unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let target = ListenerTarget::socket(FreesBase(socket, base.clone()));
        let error = on(&base, flags, -1, target).unwrap_err();
        assert!(matches!(error, Error::Freed { object: "base", .. }));
        let refused = std::net::TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
