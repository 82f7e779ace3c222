//! Streams: PHP's functions over sockets, on both sides of one process.

use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{iter, thread};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use php_event::stream::{
    ContextOptions, DEFAULT_TIMEOUT, Stream, StreamContext, fclose, feof, fread, fwrite,
    stream_context_create, stream_set_blocking, stream_set_timeout, stream_socket_accept,
    stream_socket_client, stream_socket_get_name, stream_socket_pair, stream_socket_server,
    stream_socket_servers,
};
use php_event::{Address, Error, Event, LoopEnd, Result};
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;
use test_support::{Seen, alone, limited, new_base, poll, run};

const LOCAL: &str = "tcp://127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(20);

/// What a time limit of the system may be cut by.
const MILLISECOND: Duration = Duration::from_millis(1);

fn options() -> ContextOptions {
    ContextOptions::new()
}

fn listen_with(address: &str, options: ContextOptions) -> Result<Stream> {
    stream_socket_server(address, &stream_context_create(options))
}

fn listen() -> Stream {
    listen_with(LOCAL, options()).unwrap()
}

fn name(stream: &Stream) -> String {
    stream_socket_get_name(stream, false).unwrap()
}

fn connect(address: &str) -> Result<Stream> {
    stream_socket_client(address, PATIENCE, &StreamContext::default())
}

fn accept(listener: &Stream) -> Stream {
    limited(|| stream_socket_accept(listener, PATIENCE)).unwrap()
}

/// The address of a listener, in the form that a client takes.
fn address(listener: &Stream) -> String {
    let name = name(listener);
    if name.starts_with('/') {
        format!("unix://{name}")
    } else {
        name
    }
}

/// A connection: the accepted stream and the client's.
fn connection_to(listener: &Stream) -> (Stream, Stream) {
    let client = connect(&address(listener)).unwrap();
    (accept(listener), client)
}

fn connection() -> (Stream, Stream) {
    connection_to(&listen())
}

struct UnixPath(TempDir);

impl UnixPath {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("socket")
    }

    fn uri(&self) -> String {
        format!("unix://{}", self.path().display())
    }
}

/// Closes with a reset, as a peer that has crashed.
fn reset(stream: Stream) {
    SockRef::from(&stream)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(stream);
}

fn is_closed(error: &Error) -> bool {
    matches!(
        error,
        Error::Freed {
            object: "stream",
            ..
        }
    )
}

/// Waits until `stream` has something to say.
fn readable(stream: &Stream) {
    let base = new_base();
    let event = Event::new(&base, stream.clone(), Event::READ, |_, _, _| {}).unwrap();
    event.add(None).unwrap();
    run(&base);
}

#[test]
fn the_first_context_is_4_its_listener_5_and_the_first_client_6() {
    alone(&[], || {
        let context = stream_context_create(options());
        let listener = stream_socket_server(LOCAL, &context).unwrap();
        let client = TcpStream::connect(name(&listener)).unwrap();
        let accepted = accept(&listener);
        assert_eq!([context.id(), listener.id(), accepted.id()], [4, 5, 6]);
        assert_eq!(accepted.clone().id(), 6);
        drop((accepted, client));
        // A number is never used twice, and a failure or a default context takes none.
        stream_socket_accept(&listener, Duration::ZERO).unwrap_err();
        let next = stream_socket_server(LOCAL, &StreamContext::default()).unwrap();
        assert_eq!(next.id(), 7);
    });
}

#[test]
fn a_listener_has_the_address_that_was_asked_for() {
    let unix = UnixPath::new();
    for (asked, start) in [
        (LOCAL, "127.0.0.1:"),
        ("127.0.0.1:0", "127.0.0.1:"), // no scheme is tcp
        ("tcp://localhost:0", ""),
        (&unix.uri(), unix.path().to_str().unwrap()),
    ] {
        let listener = listen_with(asked, options()).unwrap();
        assert!(name(&listener).starts_with(start), "{asked}: {listener:?}");
        assert!(!name(&listener).ends_with(":0"), "{asked}");
        assert_eq!(stream_socket_get_name(&listener, true), None, "{asked}");
        let (_accepted, _client) = connection_to(&listener);
    }
}

#[test]
fn a_listener_may_follow_its_predecessor_at_once() {
    let listener = listen();
    let (accepted, client) = connection_to(&listener);
    let port = name(&listener);
    drop((accepted, listener)); // closed on this side first: the port lingers
    drop(client);
    let successor = listen_with(&port, options()).unwrap();
    assert!(SockRef::from(&successor).reuse_address().unwrap());
}

#[test]
fn an_address_in_use_is_named() {
    let unix = UnixPath::new();
    for asked in [LOCAL, &unix.uri()] {
        let listener = listen_with(asked, options()).unwrap();
        let taken = address(&listener);
        let error = listen_with(&taken, options()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Io {
                    call: "stream_socket_server",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("stream_socket_server: {taken}: ")),
            "{text}"
        );
        assert!(text.contains("Address already in use"), "{text}");
    }
}

#[test]
fn a_unix_path_that_exists_is_refused_and_left_alone() {
    let unix = UnixPath::new();
    fs::write(unix.path(), "a file").unwrap();
    let error = listen_with(&unix.uri(), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
    assert_eq!(fs::read_to_string(unix.path()).unwrap(), "a file");
    fs::remove_file(unix.path()).unwrap();

    let listener = listen_with(&unix.uri(), options()).unwrap();
    fclose(&listener).unwrap();
    drop(listener);
    assert!(unix.path().exists()); // as in PHP, closing does not remove it
    listen_with(&unix.uri(), options()).unwrap_err();
}

#[test]
fn an_address_that_cannot_be_read_is_refused_by_name() {
    let long = format!("unix:///{}", "x".repeat(108));
    let connect = |address: &str| connect(address);
    for (address, word) in [
        ("", "no port"),
        ("tcp://", "no port"),
        ("tcp://127.0.0.1", "no port"),
        ("127.0.0.1", "no port"),
        ("tcp://127.0.0.1:", "not a number from 0 to 65535"),
        ("tcp://127.0.0.1:http", "not a number from 0 to 65535"),
        ("tcp://127.0.0.1:65536", "not a number from 0 to 65535"),
        ("tcp://127.0.0.1:-1", "not a number from 0 to 65535"),
        ("tcp://[::1]", "no port; write [::1]:80"),
        ("udp://127.0.0.1:0", "scheme"),
        ("http://127.0.0.1:80", "scheme"),
        ("unix://", "path"),
        ("unix:///tmp/a\0b", "path"),
        (&long, "path"),
    ] {
        for (result, call) in [
            (listen_with(address, options()), "stream_socket_server"),
            (connect(address), "stream_socket_client"),
        ] {
            let error = result.expect_err(address);
            assert!(
                matches!(error, Error::Argument { .. }),
                "{address}: {error:?}"
            );
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{call}: {address:?}: ")),
                "{text}"
            );
            assert!(text.contains(word), "{text}");
        }
    }
}

#[test]
fn every_address_of_a_name_is_listened_on_with_one_port() {
    let servers = stream_socket_servers("tcp://localhost:0", &StreamContext::default()).unwrap();
    let names = servers.iter().map(name).collect::<Vec<_>>();
    let port = |name: &str| name.rsplit_once(':').unwrap().1.to_owned();
    assert!(names.iter().all(|name| port(name) == port(&names[0])));
    let all = "localhost:0".parse::<Address>().unwrap().resolve().unwrap();
    assert_eq!(servers.len(), all.len());
    for (server, name) in servers.iter().zip(&names) {
        let client = connect(name).unwrap();
        drop(accept(server));
        drop(client);
    }
    let taken = format!("localhost:{}", port(&names[0]));
    let error = stream_socket_servers(&taken, &StreamContext::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let start = format!("stream_socket_servers: {taken}: ");
    assert!(error.to_string().starts_with(&start), "{error}");
    let one = stream_socket_servers("127.0.0.1:0", &StreamContext::default()).unwrap();
    assert_eq!(one.len(), 1);
}

#[test]
fn an_address_that_is_not_ours_or_not_there_is_an_error_with_its_cause() {
    let unix = UnixPath::new();
    let nowhere = format!("{}/deeper", unix.uri());
    for (address, cause) in [
        ("tcp://192.0.2.1:0", "Cannot assign requested address"),
        (&nowhere, "No such file"),
    ] {
        let error = listen_with(address, options()).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(address) && text.contains(cause), "{text}");
    }
}

#[test]
fn more_listeners_share_a_port_when_all_of_them_say_so() {
    let sharing = || options().so_reuseport(true);
    let first = listen_with(LOCAL, sharing()).unwrap();
    let port = name(&first);
    let second = listen_with(&port, sharing()).unwrap();
    assert_eq!(name(&second), port);
    assert_eq!(
        listen_with(&port, options()).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    let alone = listen();
    assert_eq!(
        listen_with(&name(&alone), sharing()).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
}

#[test]
fn an_ipv6_listener_serves_ipv4_unless_told_otherwise() {
    if TcpListener::bind("[::1]:0").is_err() {
        return; // a system without IPv6
    }
    let listen = |only| listen_with("tcp://[::]:0", options().ipv6_v6only(only)).unwrap();
    let port = |listener: &Stream| name(listener).rsplit_once(':').unwrap().1.to_owned();

    let both = listen(false);
    assert!(name(&both).starts_with("[::]:"));
    let client = connect(&format!("tcp://127.0.0.1:{}", port(&both))).unwrap();
    let accepted = accept(&both);
    let seen = stream_socket_get_name(&accepted, true).unwrap();
    assert_eq!(seen, format!("[::ffff:127.0.0.1]:{}", port(&client)));

    let only = listen(true);
    let refused = connect(&format!("tcp://127.0.0.1:{}", port(&only))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let client = connect(&format!("tcp://[::1]:{}", port(&only))).unwrap();
    let accepted = accept(&only);
    assert_eq!(
        stream_socket_get_name(&accepted, true).unwrap(),
        name(&client)
    );
    assert!(name(&accepted).starts_with("[::1]:"));
}

#[test]
fn a_backlog_is_how_many_wait_beside_the_next() {
    let default = options().backlog;
    assert_eq!(default, 32);
    for (backlog, fit) in [(0, 1), (1, 2), (5, 6), (default, 33), (-1, 100)] {
        let unix = UnixPath::new();
        let listener = listen_with(&unix.uri(), options().backlog(backlog)).unwrap();
        let clients = (0..fit)
            .map(|_| connect(&unix.uri()).unwrap())
            .collect::<Vec<_>>();
        assert_eq!(clients.len(), fit);
        if backlog >= 0 {
            let start = Instant::now();
            let next = stream_socket_client(&unix.uri(), SHORT, &StreamContext::default());
            assert_eq!(next.unwrap_err().kind(), ErrorKind::TimedOut, "{backlog}");
            assert!(start.elapsed() >= SHORT - MILLISECOND);
            drop(accept(&listener));
            drop(connect(&unix.uri()).unwrap());
        }
    }
}

#[test]
fn descriptors_are_closed_on_exec() {
    let listener = listen();
    let (accepted, client) = connection_to(&listener);
    for stream in [listener, accepted, client] {
        let flags = FdFlag::from_bits_retain(fcntl(&stream, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC), "{stream:?}");
    }
}

#[test]
fn no_delay_is_handed_on_by_the_listener_to_each_connection() {
    let unix = UnixPath::new();
    for tcp_nodelay in [false, true] {
        let context = stream_context_create(options().tcp_nodelay(tcp_nodelay));
        let listener = stream_socket_server(LOCAL, &context).unwrap();
        let client = stream_socket_client(&name(&listener), PATIENCE, &context).unwrap();
        let accepted = accept(&listener);
        let nodelay = |stream: &Stream| SockRef::from(stream).tcp_nodelay().unwrap();
        assert_eq!(
            [&listener, &accepted, &client].map(nodelay),
            [tcp_nodelay; 3]
        );

        let uri = format!("{}{tcp_nodelay}", unix.uri()); // on a unix socket it changes nothing
        let listener = stream_socket_server(&uri, &context).unwrap();
        let _client = stream_socket_client(&uri, PATIENCE, &context).unwrap();
        drop(accept(&listener));
    }
}

#[test]
fn without_a_client_accept_polls_or_waits_for_its_timeout() {
    let listener = listen();
    for blocking in [true, false] {
        stream_set_blocking(&listener, blocking).unwrap(); // no matter for accept
        let error = stream_socket_accept(&listener, Duration::ZERO).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Io {
                    call: "stream_socket_accept",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let start = Instant::now();
        let error = limited(|| stream_socket_accept(&listener, SHORT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(start.elapsed() >= SHORT);
    }
}

#[test]
fn accept_ends_its_wait_when_somebody_comes() {
    for timeout in [PATIENCE, Duration::MAX] {
        let listener = listen();
        let address = name(&listener);
        let client = thread::spawn(move || {
            thread::sleep(SHORT);
            TcpStream::connect(address).unwrap()
        });
        let accepted = limited(|| stream_socket_accept(&listener, timeout)).unwrap();
        let client = client.join().unwrap();
        let peer = stream_socket_get_name(&accepted, true).unwrap();
        assert_eq!(peer, client.local_addr().unwrap().to_string());
    }
}

#[test]
fn an_accepted_stream_blocks_whatever_the_listener_does() {
    let listener = listen();
    stream_set_blocking(&listener, false).unwrap();
    let (accepted, _client) = connection_to(&listener);
    stream_set_timeout(&accepted, SHORT).unwrap();
    let start = Instant::now();
    let error = limited(|| fread(&accepted, 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT);
}

#[test]
fn a_client_that_hung_up_is_accepted_still() {
    let listener = listen();
    drop(connect(&name(&listener)).unwrap());
    let accepted = stream_socket_accept(&listener, Duration::ZERO).unwrap();
    assert_eq!(fread(&accepted, 10).unwrap(), b"");
}

#[test]
fn what_does_not_listen_does_not_accept() {
    let listener = listen();
    let (accepted, client) = connection_to(&listener);
    for stream in [&accepted, &client] {
        let error = stream_socket_accept(stream, Duration::ZERO).unwrap_err();
        assert!(matches!(error, Error::Argument { .. }), "{error:?}");
        assert!(
            error.to_string().starts_with("stream_socket_accept: "),
            "{error}"
        );
    }
    fclose(&listener).unwrap();
    let error = stream_socket_accept(&listener, Duration::ZERO).unwrap_err();
    assert!(is_closed(&error), "{error:?}");
}

#[test]
// Skipped under Valgrind: it accepts the connection before it reports that no descriptor is left.
fn no_descriptor_left_for_a_client_is_an_error_and_the_client_waits_on() {
    alone(&[], || {
        let listener = listen();
        let _client = connect(&name(&listener)).unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let lowest_free = File::open("/dev/null").unwrap().as_raw_fd();
        setrlimit(
            Resource::RLIMIT_NOFILE,
            lowest_free.cast_unsigned().into(),
            hard,
        )
        .unwrap();
        let error = stream_socket_accept(&listener, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("Too many open files"), "{error}");
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        drop(stream_socket_accept(&listener, Duration::ZERO).unwrap());
    });
}

#[test]
fn a_refused_connection_names_the_address() {
    let unix = UnixPath::new();
    drop(listen_with(&unix.uri(), options()).unwrap()); // leaves its path
    let bound = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap(); // and never listens
    bound
        .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
        .unwrap();
    let bound_to = bound.local_addr().unwrap().as_socket().unwrap();
    for address in [format!("tcp://{bound_to}"), unix.uri()] {
        let error = connect(&address).unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(
            error
                .to_string()
                .starts_with(&format!("stream_socket_client: {address}: ")),
            "{error}"
        );
    }
}

#[test]
fn an_unanswered_connection_times_out() {
    // A full backlog drops what comes.
    let listener = listen_with(LOCAL, options().backlog(0)).unwrap();
    let _waiting = connect(&name(&listener)).unwrap();
    let start = Instant::now();
    let error = stream_socket_client(&name(&listener), SHORT, &StreamContext::default());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT - MILLISECOND);
}

#[test]
fn both_ends_of_a_connection_are_named_even_after_the_peer_closed() {
    let (accepted, client) = connection();
    let (near, far) = (name(&accepted), name(&client));
    assert_eq!(stream_socket_get_name(&accepted, true).as_ref(), Some(&far));
    assert_eq!(stream_socket_get_name(&client, true).as_ref(), Some(&near));
    drop(client);
    assert_eq!(fread(&accepted, 1).unwrap(), b"");
    assert_eq!(stream_socket_get_name(&accepted, true), Some(far));
}

#[test]
fn the_unnamed_end_of_a_unix_connection_has_no_name() {
    let unix = UnixPath::new();
    let listener = listen_with(&unix.uri(), options()).unwrap();
    let (accepted, client) = connection_to(&listener);
    let path = unix.path().to_str().map(str::to_owned);
    assert_eq!(stream_socket_get_name(&accepted, false), path);
    assert_eq!(stream_socket_get_name(&accepted, true), None);
    assert_eq!(stream_socket_get_name(&client, false), None);
    assert_eq!(stream_socket_get_name(&client, true), path);
}

#[test]
fn fread_returns_what_is_there_up_to_the_length() {
    let (accepted, client) = connection();
    fwrite(&client, b"hello, \0 world").unwrap();
    readable(&accepted);
    assert_eq!(fread(&accepted, 5).unwrap(), b"hello");
    assert!(!feof(&accepted)); // there is more
    assert_eq!(fread(&accepted, usize::MAX).unwrap(), b", \0 world");
    assert!(!feof(&accepted)); // there may come more
}

#[test]
fn fread_takes_more_than_phps_chunk_and_leaves_no_hidden_rest() {
    let unix = UnixPath::new(); // where all that was written is there at once
    let (accepted, client) = connection_to(&listen_with(&unix.uri(), options()).unwrap());
    assert_eq!(fwrite(&client, vec![b'x'; 20_000]).unwrap(), 20_000);
    assert_eq!(fread(&accepted, 16_384).unwrap().len(), 16_384);
    readable(&accepted); // an event sees what was not asked for
    assert_eq!(fread(&accepted, 16_384).unwrap().len(), 20_000 - 16_384);
    stream_set_blocking(&accepted, false).unwrap();
    let error = fread(&accepted, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn with_nothing_there_fread_would_block_or_waits() {
    let (accepted, client) = connection();
    stream_set_blocking(&accepted, false).unwrap();
    let error = fread(&accepted, 10).unwrap_err();
    assert!(
        matches!(error, Error::Io { call: "fread", .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(!feof(&accepted));

    stream_set_blocking(&accepted, true).unwrap();
    stream_set_timeout(&accepted, SHORT).unwrap();
    let start = Instant::now();
    let error = limited(|| fread(&accepted, 10)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT);
    assert!(!feof(&accepted));

    assert_eq!(DEFAULT_TIMEOUT, Duration::from_secs(60));
    stream_set_timeout(&accepted, PATIENCE).unwrap();
    let mut writer = TcpStream::from(std::os::fd::OwnedFd::from(
        SockRef::from(&client).try_clone().unwrap(),
    ));
    let later = thread::spawn(move || {
        thread::sleep(SHORT);
        writer.write_all(b"late").unwrap();
    });
    assert_eq!(limited(|| fread(&accepted, 10)).unwrap(), b"late");
    later.join().unwrap();
}

#[test]
fn a_length_of_zero_reads_nothing_and_is_refused() {
    let error = fread(&connection().0, 0).unwrap_err();
    assert!(
        matches!(error, Error::Argument { call: "fread", .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("length of 0"), "{error}");
}

#[test]
fn at_the_end_fread_gives_nothing_now_and_for_ever() {
    let (accepted, client) = connection();
    fwrite(&client, "last").unwrap();
    drop(client);
    for blocking in [true, false] {
        stream_set_blocking(&accepted, blocking).unwrap();
        if blocking {
            assert!(!feof(&accepted)); // the peer has closed, and its last words are unread
            assert_eq!(limited(|| fread(&accepted, 10)).unwrap(), b"last");
        }
        for _ in 0..2 {
            assert_eq!(limited(|| fread(&accepted, 10)).unwrap(), b"");
            assert!(feof(&accepted));
        }
    }
}

#[test]
fn feof_sees_the_close_of_the_peer_before_any_read() {
    let (accepted, client) = connection();
    assert!(!feof(&accepted)); // and did not wait, though the stream blocks
    assert!(!feof(&client));
    drop(client);
    readable(&accepted);
    assert!(feof(&accepted));
    assert_eq!(fread(&accepted, 1).unwrap(), b"");
}

#[test]
fn a_peer_that_broke_off_is_an_error_and_then_the_end() {
    let (accepted, client) = connection();
    reset(client);
    readable(&accepted);
    let error = fread(&accepted, 10).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    assert!(feof(&accepted));
    assert_eq!(fread(&accepted, 10).unwrap(), b"");

    let (accepted, client) = connection();
    reset(client);
    readable(&accepted);
    assert!(feof(&accepted)); // seen here first
}

#[test]
fn a_listener_is_not_at_its_end() {
    let listener = listen();
    assert!(!feof(&listener));
    let _client = connect(&name(&listener)).unwrap();
    assert!(!feof(&listener));
}

#[test]
fn a_full_stream_takes_a_part_and_then_would_block() {
    let (accepted, client) = connection();
    stream_set_blocking(&client, false).unwrap();
    let data = vec![b'x'; 64 << 20]; // more than the kernel keeps for a connection
    let mut sent = fwrite(&client, &data).unwrap();
    assert!(sent > 0 && sent < data.len(), "{sent}");
    let error = limited(|| {
        loop {
            match fwrite(&client, &data) {
                Ok(n) => sent += n,
                Err(error) => break error,
            }
        }
    });
    assert!(
        matches!(error, Error::Io { call: "fwrite", .. }),
        "{error:?}"
    );
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(fwrite(&client, "").unwrap(), 0);
    drop(client);
    let received = limited(|| io::copy(&mut &accepted, &mut io::sink())).unwrap();
    assert_eq!(received, u64::try_from(sent).unwrap());
}

#[test]
fn a_blocking_stream_writes_all_or_gives_up_in_its_time() {
    let (accepted, client) = connection();
    let data = vec![b'x'; 16 << 20];
    let copy = SockRef::from(&accepted).try_clone().unwrap();
    let reader = thread::spawn(move || {
        let mut reader = TcpStream::from(copy);
        reader.set_nonblocking(false).unwrap();
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        received
    });
    assert_eq!(limited(|| fwrite(&client, &data)).unwrap(), data.len());
    fclose(&client).unwrap();
    assert!(reader.join().unwrap() == data);

    let (_accepted, client) = connection();
    stream_set_timeout(&client, SHORT).unwrap();
    let start = Instant::now();
    let error = limited(|| fwrite(&client, vec![b'x'; 64 << 20])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= SHORT);
}

#[test]
fn writing_to_a_closed_peer_is_an_error_and_no_signal() {
    // SIGPIPE ends a process that does not ignore it, which Rust's start does: undone here.
    alone(&[], || {
        #[allow(unsafe_code)]
        // SAFETY: the default action is no function of ours.
        unsafe {
            nix::sys::signal::signal(
                nix::sys::signal::Signal::SIGPIPE,
                nix::sys::signal::SigHandler::SigDfl,
            )
        }
        .unwrap();
        for end in [drop, reset] {
            let (accepted, client) = connection();
            end(client);
            let mut tries = iter::repeat_with(|| fwrite(&accepted, "is anybody there?"));
            let error = limited(|| tries.find_map(Result::err)).unwrap();
            assert!(
                matches!(error, Error::Io { call: "fwrite", .. }),
                "{error:?}"
            );
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
            let error = (&accepted)
                .write_vectored(&[IoSlice::new(b"still?")])
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn a_closed_stream_answers_every_call_with_an_error_through_every_handle() {
    type Act = fn(&Stream) -> Result<()>;
    let cases: [(&str, Act); 6] = [
        ("fclose", fclose),
        ("fread", |stream| fread(stream, 1).map(drop)),
        ("fwrite", |stream| fwrite(stream, "x").map(drop)),
        ("stream_set_blocking", |stream| {
            stream_set_blocking(stream, false)
        }),
        ("stream_set_timeout", |stream| {
            stream_set_timeout(stream, SHORT)
        }),
        ("stream_socket_accept", |stream| {
            stream_socket_accept(stream, Duration::ZERO).map(drop)
        }),
    ];
    let (accepted, client) = connection();
    fwrite(&client, "unread").unwrap();
    let other_handle = accepted.clone();
    fclose(&accepted).unwrap();
    for stream in [&accepted, &other_handle] {
        for (call, act) in cases {
            let error = act(stream).expect_err(call);
            assert_eq!(
                error.to_string(),
                format!("{call}: the stream was already closed")
            );
        }
        let mut io = stream;
        io.read(&mut [0]).unwrap_err();
        io.write(b"x").unwrap_err();
        assert!(feof(stream));
    }
    assert_eq!(other_handle.id(), accepted.id());
    assert!(format!("{accepted:?}").contains("closed: true"));
}

#[test]
fn the_peer_sees_a_close_at_once_though_a_handle_or_an_event_holds_the_stream() {
    let (base, seen) = (new_base(), Seen::new());
    let (accepted, client) = connection();
    let note = seen.clone();
    let watch = move |stream: &Stream, what, _event: &Event| {
        note.note((what, fread(stream, 1).is_err_and(|error| is_closed(&error))));
    };
    let event = Event::new(&base, accepted.clone(), Event::READ, watch).unwrap();
    event.add(None).unwrap();
    fclose(&accepted).unwrap();
    assert_eq!(limited(|| fread(&client, 1)).unwrap(), b"");
    assert!(feof(&client));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [(Event::READ, true)]);
}

#[test]
fn the_number_of_a_closed_stream_is_released_with_its_last_event() {
    alone(&[], || {
        let base = new_base();
        let (accepted, _client) = connection();
        let number = format!("/proc/self/fd/{}", accepted.as_fd().as_raw_fd());
        let event = Event::new(&base, accepted.clone(), Event::READ, |_, _, _| {}).unwrap();
        event.add(None).unwrap();
        fclose(&accepted).unwrap();
        drop(accepted);
        assert!(fs::exists(&number).unwrap());
        drop(event);
        assert!(!fs::exists(&number).unwrap());
    });
}

#[test]
fn a_closed_listener_is_released_with_its_last_holder() {
    let listener = listen();
    let taken = name(&listener);
    let base = new_base();
    let event = Event::new(&base, listener.clone(), Event::READ, |_, _, _| {}).unwrap();
    event.add(None).unwrap();
    fclose(&listener).unwrap();
    drop(listener);
    assert_eq!(
        listen_with(&taken, options()).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
    assert_eq!(poll(&base), LoopEnd::Passed); // it is no end that the event would report
    event.free();
    drop(listen_with(&taken, options()).unwrap());
}

#[test]
fn a_stream_closes_with_its_last_handle() {
    let (accepted, client) = connection();
    let other_handle = accepted.clone();
    drop(accepted);
    stream_set_blocking(&client, false).unwrap();
    assert_eq!(fread(&client, 1).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(other_handle);
    stream_set_blocking(&client, true).unwrap();
    assert_eq!(limited(|| fread(&client, 1)).unwrap(), b"");
}

#[test]
fn a_stream_is_read_and_written_as_any_other_in_rust() {
    let unix = UnixPath::new();
    for listener in [listen(), listen_with(&unix.uri(), options()).unwrap()] {
        let (accepted, client) = connection_to(&listener);
        let (mut near, mut far) = (&accepted, &client);
        let slices = [IoSlice::new(b"one "), IoSlice::new(b"two ")];
        assert_eq!(far.write_vectored(&slices).unwrap(), 8);
        write!(far, "{}", 3).unwrap();
        far.flush().unwrap();
        fclose(&client).unwrap();
        let mut text = String::new();
        limited(|| near.read_to_string(&mut text)).unwrap();
        assert_eq!(text, "one two 3");
        assert!(feof(&accepted));

        let (accepted, _client) = connection_to(&listener);
        stream_set_blocking(&accepted, false).unwrap();
        let error = (&accepted).read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}

#[test]
fn a_stream_is_taken_by_value_where_rust_wants_a_reader_or_a_writer() {
    fn copy(mut from: impl Read, mut to: impl Write) -> io::Result<u64> {
        io::copy(&mut from, &mut to)
    }
    let ((mut ours, theirs), (out, mut result)) = (connection(), connection());
    ours.write_all(b"he").unwrap();
    let slices = [IoSlice::new(b"ll"), IoSlice::new(b"o")];
    assert_eq!(ours.write_vectored(&slices).unwrap(), 3);
    ours.flush().unwrap();
    drop(ours);
    assert_eq!(copy(theirs, out).unwrap(), 5);
    let mut text = String::new();
    result.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn the_descriptor_is_taken_out_of_the_last_handle_alone() {
    let (ours, theirs) = connection();
    let number = ours.as_fd().as_raw_fd();
    let clone = ours.clone();
    let ours = ours.into_fd().expect_err("a clone holds it, too");
    drop(clone);
    let fd = ours.into_fd().expect("the last handle");
    assert_eq!(fd.as_raw_fd(), number);
    let mut socket = TcpStream::from(fd);
    socket.write_all(b"hello").unwrap();
    assert_eq!(fread(&theirs, 10).unwrap(), b"hello");
    drop(socket);
    assert!(fread(&theirs, 10).unwrap().is_empty());
    fclose(&theirs).unwrap();
    drop(theirs.into_fd().expect_err("it is closed"));
}

/// Data that closes the stream when it is read.
struct Closing<'a>(&'a Stream);

impl AsRef<[u8]> for Closing<'_> {
    fn as_ref(&self) -> &[u8] {
        fclose(self.0).unwrap();
        b"hello"
    }
}

#[test]
fn data_that_closes_its_stream_when_it_is_read_is_not_written() {
    let (one, other) = stream_socket_pair().unwrap();
    let error = fwrite(&one, Closing(&one)).unwrap_err();
    assert!(error.to_string().ends_with("was already closed"), "{error}");
    assert_eq!(fread(&other, 9).unwrap(), b"");
}
