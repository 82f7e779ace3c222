//! `EventUtil` and `SocketName`: options, names and errors of sockets.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use php_event::stream::{
    fread, fwrite, stream_set_blocking, stream_set_timeout, stream_socket_accept,
    stream_socket_pair,
};
use php_event::{
    AddressFamily, Error, EventUtil, SocketLevel, SocketName, SocketOption, SocketOptionValue,
    SocketType,
};
use socket2::{Domain, SockRef, Socket, Type};
use test_support::limited;

#[test]
fn the_constants_have_the_numbers_of_php() {
    let families = [
        EventUtil::AF_UNSPEC,
        EventUtil::AF_UNIX,
        EventUtil::AF_INET,
        EventUtil::AF_INET6,
    ];
    assert_eq!(families.map(AddressFamily::number), [0, 1, 2, 10]);
    let options = [
        EventUtil::SO_DEBUG,
        EventUtil::SO_REUSEADDR,
        EventUtil::SO_TYPE,
        EventUtil::SO_ERROR,
        EventUtil::SO_DONTROUTE,
        EventUtil::SO_BROADCAST,
        EventUtil::SO_SNDBUF,
        EventUtil::SO_RCVBUF,
        EventUtil::SO_KEEPALIVE,
        EventUtil::SO_OOBINLINE,
        EventUtil::SO_LINGER,
        EventUtil::SO_RCVLOWAT,
        EventUtil::SO_SNDLOWAT,
        EventUtil::SO_RCVTIMEO,
        EventUtil::SO_SNDTIMEO,
        EventUtil::TCP_NODELAY,
    ];
    assert_eq!(
        options.map(SocketOption::number),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 18, 19, 20, 21, 1]
    );
    let levels = [
        EventUtil::IPPROTO_IP,
        EventUtil::SOL_SOCKET,
        EventUtil::SOL_TCP,
        EventUtil::SOL_UDP,
        EventUtil::IPPROTO_IPV6,
    ];
    assert_eq!(levels.map(SocketLevel::number), [0, 1, 6, 17, 41]);
    assert_eq!(SocketType::number(EventUtil::SOCK_RAW), 3);
    assert_eq!(EventUtil::LIBEVENT_VERSION_NUMBER, 0x0201_0c00);
}

#[test]
fn the_library_that_runs_is_of_the_series_that_it_was_made_for() {
    let (runs, made) = (
        EventUtil::libevent_version_number(),
        EventUtil::LIBEVENT_VERSION_NUMBER,
    );
    assert!(runs >= made && runs >> 16 == made >> 16, "{runs:#x}");
}

#[test]
fn the_last_error_is_the_threads_own() {
    thread::spawn(|| {
        Errno::clear();
        assert_eq!(EventUtil::get_last_socket_errno(), 0);
        assert_eq!(EventUtil::get_last_socket_error(), "Success");
        thread::spawn(|| Errno::EMFILE.set()).join().unwrap();
        Errno::clear(); // joining is a system call
        File::open("/nonesuch").unwrap_err();
        assert_eq!(EventUtil::get_last_socket_errno(), libc::ENOENT);
        Errno::EMFILE.set();
        assert_eq!(EventUtil::get_last_socket_error(), "Too many open files");
        Errno::set_raw(77_777);
        assert_eq!(EventUtil::get_last_socket_errno(), 77_777);
        assert_eq!(EventUtil::get_last_socket_error(), "Unknown error 77777");
    })
    .join()
    .unwrap();
}

#[test]
fn the_number_of_any_descriptor_is_returned() {
    let (one, other) = stream_socket_pair().unwrap();
    assert_eq!(EventUtil::get_socket_fd(&one), one.as_fd().as_raw_fd());
    assert_ne!(
        EventUtil::get_socket_fd(&one),
        EventUtil::get_socket_fd(&other)
    );
    let file = File::open("/dev/null").unwrap();
    assert_eq!(EventUtil::get_socket_fd(&file), file.as_raw_fd());
    assert_eq!(EventUtil::get_socket_fd(&io::stdin()), 0);
}

#[test]
fn the_name_of_an_ip_socket_is_its_address_and_port() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let tcp = TcpListener::bind(address).unwrap();
        let name = EventUtil::get_socket_name(&tcp).unwrap();
        let real = tcp.local_addr().unwrap();
        assert_eq!(name, SocketName::Ip(real));
        assert_eq!((name.ip(), name.port()), (Some(real), Some(real.port())));
        assert_eq!(name.path(), None);
        assert_eq!(name.to_string(), real.to_string());
        let client = TcpStream::connect(real).unwrap();
        assert_eq!(
            EventUtil::get_socket_name(&client).unwrap().ip(),
            Some(client.local_addr().unwrap())
        );
    }
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let name = EventUtil::get_socket_name(&udp).unwrap();
    assert_eq!(name, SocketName::Ip(udp.local_addr().unwrap()));
    let unbound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let name = EventUtil::get_socket_name(&unbound).unwrap();
    assert_eq!(name.to_string(), "0.0.0.0:0");
}

#[test]
fn the_name_of_a_unix_socket_is_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ä socket");
    let server = UnixListener::bind(&path).unwrap();
    let name = EventUtil::get_socket_name(&server).unwrap();
    assert_eq!(name, SocketName::Path(path.clone()));
    assert_eq!(
        (name.path(), name.ip(), name.port()),
        (Some(&*path), None, None)
    );
    assert_eq!(Path::new(&name.to_string()), path);
    let client = UnixStream::connect(&path).unwrap();
    assert_eq!(
        EventUtil::get_socket_name(&client).unwrap(),
        SocketName::Unnamed
    );
}

/// The longest path fills the address to its last byte, with no NUL after it.
#[test]
fn the_longest_path_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("").as_os_str().len();
    for length in [106, 107, 108] {
        let path = folder.path().join("s".repeat(length - start));
        assert_eq!(path.as_os_str().len(), length);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        if let Ok(address) = socket2::SockAddr::unix(&path) {
            socket.bind(&address).unwrap();
            let name = EventUtil::get_socket_name(&socket).unwrap();
            assert_eq!(name, SocketName::Path(path));
        } else {
            assert_eq!(length, 108);
        }
    }
}

#[test]
fn unix_sockets_without_a_path_have_an_abstract_name_or_none() {
    let text = format!("php-event {}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&text).unwrap();
    let server = UnixListener::bind_addr(&address).unwrap();
    let name = EventUtil::get_socket_name(&server).unwrap();
    assert_eq!(name, SocketName::Abstract(text.as_bytes().into()));
    assert_eq!(name.to_string(), format!("@{text}"));
    let (one, _other) = UnixDatagram::pair().unwrap();
    let name = EventUtil::get_socket_name(&one).unwrap();
    assert_eq!(name, SocketName::Unnamed);
    assert_eq!(name.to_string(), "unnamed");
    assert_eq!((name.path(), name.ip()), (None, None));
}

#[test]
fn what_has_no_such_name_is_an_error_that_names_the_call() {
    let error = EventUtil::get_socket_name(&File::open("/dev/null").unwrap()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("EventUtil::getSocketName: Socket operation on non-socket"),
        "{error}"
    );
    let netlink = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::from(libc::SOCK_RAW),
        None,
    );
    let error = EventUtil::get_socket_name(&netlink.unwrap()).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
    assert!(error.to_string().contains("family 16"), "{error}");
}

fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn set(
    socket: &Socket,
    option: SocketOption,
    value: impl Into<SocketOptionValue>,
) -> php_event::Result<()> {
    EventUtil::set_socket_option(socket, EventUtil::SOL_SOCKET, option, value)
}

#[test]
fn options_that_are_numbers_are_set_and_cleared() {
    let socket = tcp();
    assert!(!socket.keepalive().unwrap());
    set(&socket, EventUtil::SO_KEEPALIVE, true).unwrap();
    assert!(socket.keepalive().unwrap());
    set(&socket, EventUtil::SO_KEEPALIVE, 0).unwrap();
    assert!(!socket.keepalive().unwrap());
    set(&socket, EventUtil::SO_RCVBUF, 20_000).unwrap();
    assert_eq!(socket.recv_buffer_size().unwrap(), 40_000); // Linux doubles it
    let (tcp, nodelay) = (EventUtil::SOL_TCP, EventUtil::TCP_NODELAY);
    EventUtil::set_socket_option(&socket, tcp, nodelay, true).unwrap();
    assert!(socket.tcp_nodelay().unwrap());
    let only_v6 = SocketOption::from(libc::IPV6_V6ONLY);
    let v6 = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
    EventUtil::set_socket_option(&v6, EventUtil::IPPROTO_IPV6, only_v6, true).unwrap();
    assert!(v6.only_v6().unwrap());
}

#[test]
fn lingering_is_set_in_whole_seconds_that_are_rounded_up() {
    let (socket, ms) = (tcp(), Duration::from_millis);
    for (given, expected) in [
        (Some(ms(3_000)), Some(ms(3_000))),
        (Some(ms(1_200)), Some(ms(2_000))),
        (Some(ms(1)), Some(ms(1_000))), // 0 would break the connection off
        (Some(ms(0)), Some(ms(0))),
        (None, None),
    ] {
        let value = SocketOptionValue::Linger(given);
        set(&socket, EventUtil::SO_LINGER, value).unwrap();
        assert_eq!(socket.linger().unwrap(), expected, "{given:?}");
    }
    let forever = SocketOptionValue::Linger(Some(Duration::MAX));
    set(&socket, EventUtil::SO_LINGER, forever).unwrap();
    assert!(socket.linger().unwrap() > Some(ms(3_000)));
}

#[test]
fn timeouts_are_set_and_the_shortest_is_not_taken_for_none() {
    let socket = tcp();
    let second = Duration::from_secs(1);
    set(&socket, EventUtil::SO_RCVTIMEO, second).unwrap();
    set(&socket, EventUtil::SO_SNDTIMEO, second * 2).unwrap();
    assert_eq!(socket.read_timeout().unwrap(), Some(second));
    assert_eq!(socket.write_timeout().unwrap(), Some(second * 2));
    for short in [Duration::from_nanos(1), Duration::from_micros(1)] {
        set(&socket, EventUtil::SO_RCVTIMEO, short).unwrap();
        let timeout = socket.read_timeout().unwrap();
        assert!(timeout.is_some_and(|time| time < second), "{timeout:?}");
    }
    set(&socket, EventUtil::SO_RCVTIMEO, Duration::MAX).unwrap();
    assert!(socket.read_timeout().unwrap() > Some(second));
    set(&socket, EventUtil::SO_RCVTIMEO, Duration::ZERO).unwrap();
    assert_eq!(socket.read_timeout().unwrap(), None);
    assert_eq!(socket.write_timeout().unwrap(), Some(second * 2));
}

/// The extension takes number 13 for `SO_LINGER` and wants an array, whatever the level.
#[test]
fn the_kind_of_value_follows_from_the_level_too() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let receive_tos = SocketOption::from(libc::IP_RECVTOS);
    assert_eq!(receive_tos, EventUtil::SO_LINGER);
    let level = EventUtil::IPPROTO_IP;
    EventUtil::set_socket_option(&socket, level, receive_tos, true).unwrap();
    assert!(SockRef::from(&socket).recv_tos_v4().unwrap());
    let linger = SocketOptionValue::Linger(None);
    let error = EventUtil::set_socket_option(&socket, level, receive_tos, linger).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error:?}");
}

#[test]
fn a_value_of_another_kind_is_refused_and_sets_nothing() {
    let socket = tcp();
    let time = Duration::from_secs(1);
    let linger = SocketOptionValue::Linger(Some(time));
    let cases: [(SocketOption, SocketOptionValue, &str); 5] = [
        (EventUtil::SO_LINGER, 1.into(), "takes Linger"),
        (EventUtil::SO_LINGER, time.into(), "takes Linger"),
        (EventUtil::SO_RCVTIMEO, 1.into(), "takes Timeout"),
        (EventUtil::SO_SNDTIMEO, linger, "takes Timeout"),
        (EventUtil::SO_KEEPALIVE, time.into(), "takes Int"),
    ];
    for (option, value, text) in cases {
        let error = set(&socket, option, value).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(
            error
                .to_string()
                .starts_with("EventUtil::setSocketOption: ")
        );
        assert!(error.to_string().contains(text), "{error}");
    }
    assert_eq!(socket.linger().unwrap(), None);
    assert_eq!(socket.read_timeout().unwrap(), None);
    assert!(!socket.keepalive().unwrap());
}

#[test]
fn an_option_that_the_system_refuses_is_an_error_with_its_cause() {
    let error = set(&tcp(), EventUtil::SO_TYPE, 1).unwrap_err();
    let text = "EventUtil::setSocketOption: Protocol not available";
    assert!(error.to_string().starts_with(text), "{error}");
    let file = File::open("/dev/null").unwrap();
    let (level, option) = (EventUtil::SOL_SOCKET, EventUtil::SO_KEEPALIVE);
    let error = EventUtil::set_socket_option(&file, level, option, true).unwrap_err();
    assert!(error.to_string().contains("non-socket"), "{error}");
}

#[test]
fn a_socket_made_into_a_stream_is_owned_by_it() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let number = ours.as_raw_fd();
    let stream = EventUtil::create_socket(ours.into()).unwrap();
    assert_eq!(EventUtil::get_socket_fd(&stream), number);
    fwrite(&stream, "to them").unwrap();
    theirs.write_all(b"to us").unwrap();
    assert_eq!(fread(&stream, 100).unwrap(), b"to us");
    stream_set_timeout(&stream, Duration::from_millis(1)).unwrap();
    let error = limited(|| fread(&stream, 100)).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::TimedOut,
        "it does not block: {error}"
    );
    stream_set_blocking(&stream, false).unwrap();
    let error = fread(&stream, 100).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    drop(stream);
    let mut all = String::new();
    theirs.read_to_string(&mut all).unwrap(); // ends, since it is closed
    assert_eq!(all, "to them");
}

#[test]
fn a_listening_socket_made_into_a_stream_accepts() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let server = EventUtil::create_socket(server.into()).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hello").unwrap();
    let stream = stream_socket_accept(&server, Duration::from_secs(10)).unwrap();
    assert_eq!(fread(&stream, 100).unwrap(), b"hello");
    let error = stream_socket_accept(&stream, Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }), "{error}");
}

#[test]
fn what_is_no_socket_is_not_made_into_a_stream_and_is_closed() {
    let (mut reader, writer) = io::pipe().unwrap();
    let error = EventUtil::create_socket(writer.into()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    let text = "EventUtil::createSocket: Socket operation on non-socket";
    assert!(error.to_string().starts_with(text), "{error}");
    assert_eq!(reader.read(&mut [0; 1]).unwrap(), 0);
}

#[cfg(feature = "openssl")]
#[test]
fn openssl_takes_fresh_random_bytes() {
    EventUtil::ssl_rand_poll().unwrap();
    EventUtil::ssl_rand_poll().unwrap();
}

/// Counts how often it is asked for its descriptor.
struct Counting(TcpListener, Cell<u32>);

impl AsFd for Counting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.set(self.1.get() + 1);
        self.0.as_fd()
    }
}

#[test]
fn each_function_asks_a_socket_for_its_descriptor_once() {
    let socket = Counting(TcpListener::bind("127.0.0.1:0").unwrap(), Cell::new(0));
    assert_eq!(EventUtil::get_socket_fd(&socket), socket.0.as_raw_fd());
    assert_eq!(socket.1.take(), 1);
    EventUtil::get_socket_name(&socket).unwrap();
    assert_eq!(socket.1.take(), 1);
    let second = Duration::from_secs(1);
    EventUtil::set_socket_option(
        &socket,
        EventUtil::SOL_SOCKET,
        EventUtil::SO_RCVTIMEO,
        second,
    )
    .unwrap();
    assert_eq!(socket.1.take(), 1);
}
