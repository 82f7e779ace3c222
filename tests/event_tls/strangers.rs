//! Peers that speak no TLS, stop in the middle, or never answer.

use std::cell::{Cell, RefCell};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use php_event::{
    BufferEventFlags, Callbacks, Event, EventBase, EventBufferEvent, EventSslContext, FlushMode,
};

use crate::peers::{
    CONNECTED, CONNECTING, EOF, ERROR, NO_OPTIONS, Outcome, Seen, Wire, World, errors, handshake,
    noting, refused,
};
use test_support::{poll, run};

/// The events and errors of a side whose peer sends `bytes` and nothing more.
fn events_for(
    state: php_event::SslState,
    bytes: &[u8],
    cut: bool,
) -> (Vec<BufferEventFlags>, Vec<String>) {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let context = if state == EventBufferEvent::SSL_ACCEPTING {
        world.server()
    } else {
        world.client()
    };
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let tls = EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS).unwrap();
    peer.write_all(bytes).unwrap();
    if cut {
        peer.shutdown(std::net::Shutdown::Write).unwrap();
    }
    let told: Rc<RefCell<(Vec<_>, Vec<_>)>> = Rc::default();
    let note = told.clone();
    let listens = Callbacks::new().on_event(move |bev, what| {
        note.borrow_mut().0.push(what);
        note.borrow_mut().1.extend(errors(bev));
        bev.free();
    });
    tls.set_callbacks(listens).unwrap();
    tls.enable(Event::READ).unwrap();
    run(&base);
    told.take()
}

#[test]
fn plain_text_is_refused() {
    let (what, why) = events_for(
        EventBufferEvent::SSL_ACCEPTING,
        b"GET / HTTP/1.0\r\n\r\n",
        false,
    );
    assert_eq!(what, [ERROR]);
    assert!(why[0].contains("http request"), "{why:?}");
    let (what, why) = events_for(
        EventBufferEvent::SSL_CONNECTING,
        b"220 ready when you are\r\n",
        false,
    );
    assert_eq!(what, [ERROR]);
    assert!(why[0].contains("wrong version number"), "{why:?}");
}

#[test]
fn garbage_is_refused() {
    for state in [
        EventBufferEvent::SSL_ACCEPTING,
        EventBufferEvent::SSL_CONNECTING,
    ] {
        for bytes in [&[0; 64][..], &[0xff; 64], &[22, 3, 1, 0, 5, 9, 9, 9, 9, 9]] {
            let (what, why) = events_for(state, bytes, false);
            assert_eq!(what, [ERROR], "{bytes:?}");
            assert!(why[0].starts_with("error:"), "{why:?}");
        }
    }
}

#[test]
fn end_in_the_middle_of_a_handshake_is_an_error() {
    for state in [
        EventBufferEvent::SSL_ACCEPTING,
        EventBufferEvent::SSL_CONNECTING,
    ] {
        for bytes in [&b""[..], &[22, 3, 1]] {
            let (what, why) = events_for(state, bytes, true);
            assert_eq!(what, [ERROR], "{bytes:?} {why:?}");
        }
    }
}

#[test]
fn close_notify_in_the_handshake_is_an_error() {
    let close_notify = b"\x15\x03\x03\0\x02\x01\0"; // in the clear: anybody can send it
    let (what, why) = events_for(EventBufferEvent::SSL_CONNECTING, close_notify, false);
    assert_eq!(what, [ERROR]);
    assert!(why[0].contains("unexpected eof"), "{why:?}");
}

#[test]
fn failed_handshake_is_reported_once_to_a_side_that_reads_on() {
    for state in [EventBufferEvent::SSL_ACCEPTING, CONNECTING] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let context = match state == CONNECTING {
            true => world.client(),
            false => world.server(),
        };
        let tls = EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS).unwrap();
        let seen = Seen::default();
        let note = seen.clone();
        let keeps = Callbacks::new().on_event(move |bev, what| {
            note.add("ours", what);
            assert_eq!(bev.read(usize::MAX).unwrap(), None);
            if note.of("ours").len() == 10 {
                bev.free();
            }
        });
        tls.set_callbacks(keeps).unwrap();
        tls.enable(Event::READ | Event::WRITE).unwrap();
        poll(&base);
        let data = [b"\x17\x03\x03\0\x41", &[2; 0x41][..]].concat(); // before there are keys
        peer.write_all(&data).unwrap();
        for _ in 0..10 {
            poll(&base);
        }
        assert_eq!(seen.of("ours"), [ERROR], "{state:?}");
    }
}

/// Has both sides read until the server has its first event, and goes on noting those of the server.
fn until_first_event(
    base: &EventBase,
    server: &EventBufferEvent,
    client: &EventBufferEvent,
) -> Seen {
    let seen = Seen::default();
    let note = seen.clone();
    let keeps = Callbacks::new().on_event(move |_bev, what| note.add("server", what));
    server.set_callbacks(keeps).unwrap();
    for side in [server, client] {
        side.enable(Event::READ).unwrap();
    }
    while seen.of("server").is_empty() {
        poll(base);
    }
    seen
}

/// A forged record comes over an established connection, and later the end of the stream.
#[test]
fn failure_of_an_established_session_is_reported_once_and_writing_after_it_is_no_end() {
    for wire in [Wire::Sockets, Wire::FiltersOnSockets] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut twin = theirs.try_clone().unwrap();
        let (context, state) = (world.server(), EventBufferEvent::SSL_ACCEPTING);
        let server = if wire == Wire::Sockets {
            EventBufferEvent::ssl_socket(&base, ours, &context, state, NO_OPTIONS).unwrap()
        } else {
            let under = EventBufferEvent::new(&base, ours, NO_OPTIONS).unwrap();
            EventBufferEvent::create_ssl_filter(&under, &context, state, NO_OPTIONS).unwrap()
        };
        let context = world.client();
        let client =
            EventBufferEvent::ssl_socket(&base, theirs, &context, CONNECTING, NO_OPTIONS).unwrap();
        client.set_ssl_host("localhost").unwrap();
        server.set_allow_ssl_dirty_shutdown(true).unwrap(); // which this is not
        let seen = until_first_event(&base, &server, &client);
        client.disable(Event::READ).unwrap();
        twin.write_all(b"\x17\x03\x03\x48\0").unwrap(); // longer than records may be
        while seen.of("server").len() < 2 {
            poll(&base);
        }
        for _ in 0..2 {
            server.write("too late").unwrap();
            poll(&base);
            poll(&base); // the callbacks are deferred
        }
        twin.shutdown(std::net::Shutdown::Write).unwrap();
        poll(&base);
        poll(&base);
        let seen = seen.of("server");
        assert_eq!(seen[..2], [CONNECTED, ERROR], "{wire:?}");
        let writing = EventBufferEvent::WRITING | EventBufferEvent::ERROR;
        assert_eq!(seen[2..], [writing], "{wire:?}");
    }
}

#[test]
fn session_that_has_failed_takes_in_no_flood() {
    const FLOOD: usize = 10_000_000;
    type Act = fn(&EventBufferEvent);
    let acts: [(&str, Act); 4] = [
        ("nothing", |_| ()),
        ("writes", |server| server.write("too late").unwrap()),
        ("disables", |server| {
            server.disable(Event::READ | Event::WRITE).unwrap();
        }),
        ("enables", |server| server.enable(Event::READ).unwrap()),
    ];
    for (name, act) in acts {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut twin = theirs.try_clone().unwrap();
        let under = EventBufferEvent::new(&base, ours, NO_OPTIONS).unwrap();
        let (context, state) = (world.server(), EventBufferEvent::SSL_ACCEPTING);
        let server =
            EventBufferEvent::create_ssl_filter(&under, &context, state, NO_OPTIONS).unwrap();
        let context = world.client();
        let client =
            EventBufferEvent::ssl_socket(&base, theirs, &context, CONNECTING, NO_OPTIONS).unwrap();
        client.set_ssl_host("localhost").unwrap();
        let seen = until_first_event(&base, &server, &client);
        client.disable(Event::READ).unwrap();
        twin.write_all(b"\x17\x03\x03\x48\0").unwrap(); // longer than records may be
        while seen.of("server").len() < 2 {
            poll(&base);
        }
        act(&server);
        let mut sent = 0;
        for _ in 0..1000 {
            if let Ok(more) = twin.write(&[7; 64 << 10]) {
                sent += more;
            }
            poll(&base);
        }
        let waits = under.input().length();
        assert!(waits < 200_000 && sent < FLOOD, "{name}: {waits} of {sent}");
    }
}

#[test]
fn peer_that_never_answers_times_out() {
    let base = EventBase::new().unwrap();
    let (socket, _peer) = UnixStream::pair().unwrap();
    let state = EventBufferEvent::SSL_ACCEPTING;
    let server = World::new().server();
    let tls = EventBufferEvent::ssl_socket(&base, socket, &server, state, NO_OPTIONS).unwrap();
    tls.enable(Event::READ).unwrap();
    let limit = Some(Duration::from_millis(20));
    tls.set_timeouts(limit, limit).unwrap();
    let seen = Seen::default();
    tls.set_callbacks(noting(&seen, "server")).unwrap();
    run(&base);
    assert!(seen.of("server")[0].contains(EventBufferEvent::TIMEOUT));
    assert_eq!(seen.of("server").len(), 1);
}

#[test]
fn idle_connection_times_out() {
    let base = EventBase::new().unwrap();
    let (server, client) = World::new().connect(&base, Wire::Sockets, NO_OPTIONS);
    let seen = Seen::default();
    server.set_callbacks(noting(&seen, "server")).unwrap();
    let waits = {
        let seen = seen.clone();
        Callbacks::new().on_event(move |bev, what| {
            seen.add("client", what);
            if what == CONNECTED {
                let limit = Some(Duration::from_millis(20));
                bev.set_timeouts(limit, None).unwrap();
            } else {
                bev.free();
            }
        })
    };
    client.set_callbacks(waits).unwrap();
    run(&base);
    let timeout = EventBufferEvent::READING | EventBufferEvent::TIMEOUT;
    assert_eq!(seen.of("client"), [CONNECTED, timeout]);
    assert_eq!(seen.of("server"), [CONNECTED, EOF]);
}

/// The events and errors of a client whose server closes without `close_notify`.
fn cut(wire: Wire, dirty: bool) -> (Vec<BufferEventFlags>, Vec<String>) {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (server, client) = (world.server(), world.client());
    let twin = OwnedFd::from(theirs.try_clone().unwrap());
    let (accepting, connecting) = (
        EventBufferEvent::SSL_ACCEPTING,
        EventBufferEvent::SSL_CONNECTING,
    );
    let server =
        EventBufferEvent::ssl_socket(&base, theirs, &server, accepting, NO_OPTIONS).unwrap();
    let client = if wire == Wire::Sockets {
        EventBufferEvent::ssl_socket(&base, ours, &client, connecting, NO_OPTIONS).unwrap()
    } else {
        let under = EventBufferEvent::new(&base, ours, NO_OPTIONS).unwrap();
        EventBufferEvent::create_ssl_filter(&under, &client, connecting, NO_OPTIONS).unwrap()
    };
    client.set_ssl_host("localhost").unwrap();
    assert!(!client.allow_ssl_dirty_shutdown());
    client.set_allow_ssl_dirty_shutdown(dirty).unwrap();
    assert_eq!(client.allow_ssl_dirty_shutdown(), dirty);
    let json = serde_json::to_value(&client).unwrap();
    assert_eq!(json["allow_ssl_dirty_shutdown"], dirty);
    let cuts = Callbacks::new().on_event(move |bev, what| {
        if what == CONNECTED {
            UnixStream::from(twin.try_clone().unwrap())
                .shutdown(std::net::Shutdown::Both)
                .unwrap();
            bev.free();
        }
    });
    server.set_callbacks(cuts).unwrap();
    let told: Rc<RefCell<(Vec<_>, Vec<_>)>> = Rc::default();
    let note = told.clone();
    let listens = Callbacks::new().on_event(move |bev, what| {
        note.borrow_mut().0.push(what);
        if what != CONNECTED {
            note.borrow_mut().1.extend(errors(bev));
            bev.free();
        }
    });
    client.set_callbacks(listens).unwrap();
    client.enable(Event::READ).unwrap();
    server.enable(Event::READ).unwrap();
    run(&base);
    told.take()
}

#[test]
fn end_without_close_notify_is_an_error_unless_allowed() {
    let (what, why) = cut(Wire::Sockets, false);
    assert_eq!(what, [CONNECTED, ERROR]);
    assert!(why[0].contains("unexpected eof"), "{why:?}");
    let (what, why) = cut(Wire::Sockets, true);
    assert_eq!(what, [CONNECTED, EOF]);
    assert_eq!(why, [""; 0]);
    let (what, _) = cut(Wire::FiltersOnSockets, false);
    assert_eq!(what, [CONNECTED, EventBufferEvent::ERROR]);
    let (what, _) = cut(Wire::FiltersOnSockets, true);
    assert_eq!(what, [CONNECTED, EventBufferEvent::EOF]);
}

#[test]
fn refused_connect_is_an_error_with_its_number() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    for disabled in [false, true] {
        let base = EventBase::new().unwrap();
        let client = World::new().client();
        let tls =
            EventBufferEvent::ssl_unconnected(&base, &client, CONNECTING, NO_OPTIONS).unwrap();
        if disabled {
            tls.disable(Event::WRITE).unwrap();
        }
        let told = Rc::new(Cell::new((BufferEventFlags::empty(), 0)));
        let note = told.clone();
        let listens = Callbacks::new().on_event(move |bev, what| {
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap();
            note.set((what, errno));
            bev.free();
        });
        tls.set_callbacks(listens).unwrap();
        tls.connect(&address.to_string()).unwrap();
        assert!(refused(tls.connect(&address.to_string())).contains("connected before"));
        run(&base);
        assert_eq!(told.get(), (ERROR, libc::ECONNREFUSED), "{disabled}");
    }
}

/// A client that connects to a numeric address.
fn by_number(name: Option<&str>, certified: &str) -> Outcome {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let server = world.server_as(&world.authority.sign(&[certified]), &[]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client =
        EventBufferEvent::ssl_unconnected(&base, &world.client(), CONNECTING, NO_OPTIONS).unwrap();
    if let Some(name) = name {
        client.set_ssl_host(name).unwrap();
    }
    client.enable(Event::READ).unwrap();
    client
        .connect(&listener.local_addr().unwrap().to_string())
        .unwrap();
    let (socket, _) = listener.accept().unwrap();
    let state = EventBufferEvent::SSL_ACCEPTING;
    let server = EventBufferEvent::ssl_socket(&base, socket, &server, state, NO_OPTIONS).unwrap();
    server.enable(Event::READ).unwrap();
    handshake(&base, server, client)
}

#[test]
fn connect_expects_the_address_unless_a_host_was_named() {
    by_number(None, "127.0.0.1").assert_established();
    by_number(None, "localhost").assert_client_refuses("IP address mismatch");
    by_number(Some("localhost"), "localhost").assert_established();
    by_number(Some("localhost"), "127.0.0.1").assert_client_refuses("hostname mismatch");
}

#[test]
fn reset_while_output_waits_is_reported_once_and_does_not_spin() {
    let base = EventBase::new().unwrap();
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    let state = EventBufferEvent::SSL_ACCEPTING;
    let server =
        EventBufferEvent::ssl_socket(&base, socket, &world.server(), state, NO_OPTIONS).unwrap();
    let told = Rc::new(RefCell::new(Vec::new()));
    let note = told.clone();
    let floods = Callbacks::new().on_event(move |bev, what| {
        note.borrow_mut().push(what);
        if what == CONNECTED {
            bev.write(vec![0; 32 << 20]).unwrap();
        }
    });
    server.set_callbacks(floods).unwrap();
    server.enable(Event::READ).unwrap();
    let trusted = world.authority.0.cert.clone();
    let peer = std::thread::spawn(move || {
        let mut builder =
            openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls_client()).unwrap();
        builder.cert_store_mut().add_cert(trusted).unwrap();
        let mut stream = builder.build().connect("localhost", client).unwrap();
        stream.read_exact(&mut [0; 100_000]).unwrap();
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(stream.get_ref())
            .set_linger(linger)
            .unwrap();
    });
    run(&base); // returns: nothing is pending after the error
    peer.join().unwrap();
    let told = told.borrow();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains(EventBufferEvent::ERROR), "{told:?}");
    assert!(server.output().length() > 0);
}

#[test]
fn errors_that_are_never_read_do_not_pile_up() {
    let base = EventBase::new().unwrap();
    let (socket, mut peer) = UnixStream::pair().unwrap();
    let state = EventBufferEvent::SSL_ACCEPTING;
    let server = World::new().server();
    let tls = EventBufferEvent::ssl_socket(&base, socket, &server, state, NO_OPTIONS).unwrap();
    peer.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let times = Rc::new(Cell::new(0));
    let count = times.clone();
    let insists = Callbacks::new().on_event(move |bev, _| {
        count.set(count.get() + 1);
        if count.get() < 100 {
            bev.enable(Event::READ | Event::WRITE).unwrap();
        }
    });
    tls.set_callbacks(insists).unwrap();
    tls.enable(Event::READ).unwrap();
    run(&base);
    assert!(times.get() > 1);
    let errors = errors(&tls);
    assert!((1..=16).contains(&errors.len()), "{errors:?}");
    assert!(errors[0].contains("http request"), "{errors:?}");
}

#[test]
fn client_sends_the_server_name_that_it_was_given() {
    for (names, wanted) in [
        (&[][..], None),
        (&["localhost"], Some("localhost")),
        (&["127.0.0.1"], None),
        (&["localhost", "127.0.0.1"], None),
    ] {
        let base = EventBase::new().unwrap();
        let world = World::new();
        let identity = world.authority.sign(&["localhost", "127.0.0.1"]);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let client = world.client();
        client.set_verify_host(false).unwrap();
        let state = EventBufferEvent::SSL_CONNECTING;
        let tls = EventBufferEvent::ssl_socket(&base, ours, &client, state, NO_OPTIONS).unwrap();
        for name in names {
            tls.set_ssl_host(name).unwrap();
        }
        tls.enable(Event::READ).unwrap();
        let seen = Seen::default();
        tls.set_callbacks(noting(&seen, "client")).unwrap();
        let peer = std::thread::spawn(move || {
            let method = openssl::ssl::SslMethod::tls_server();
            let mut builder = openssl::ssl::SslAcceptor::mozilla_intermediate_v5(method).unwrap();
            builder.set_certificate(&identity.cert).unwrap();
            builder.set_private_key(&identity.key).unwrap();
            let mut stream = builder.build().accept(theirs).unwrap();
            stream.shutdown().unwrap();
            let kind = openssl::ssl::NameType::HOST_NAME;
            stream.ssl().servername(kind).map(str::to_owned)
        });
        run(&base);
        assert_eq!(peer.join().unwrap().as_deref(), wanted);
        assert_eq!(seen.of("client"), [CONNECTED, EOF]);
    }
}

/// A peer that uses OpenSSL itself, in a thread: it asks, ends its direction, and reads on.
fn asks_and_half_closes(
    mut stream: openssl::ssl::SslStream<UnixStream>,
    shuts_socket: bool,
) -> Vec<u8> {
    stream.write_all(b"question").unwrap();
    let sent = stream.shutdown().unwrap();
    assert_eq!(sent, openssl::ssl::ShutdownResult::Sent);
    if shuts_socket {
        stream
            .get_ref()
            .shutdown(std::net::Shutdown::Write)
            .unwrap();
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap(); // up to our `close_notify`
    answer
}

#[test]
fn openssl_peer_that_half_closes_gets_the_whole_answer() {
    const SIZE: usize = 2 << 20;
    for (is_server, shuts_socket) in [(true, false), (true, true), (false, false), (false, true)] {
        let base = EventBase::new().unwrap();
        let world = World::new();
        let identity = world.authority.sign(&["localhost"]);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (context, state) = match is_server {
            true => (world.server(), EventBufferEvent::SSL_ACCEPTING),
            false => (world.client(), EventBufferEvent::SSL_CONNECTING),
        };
        let tls = EventBufferEvent::ssl_socket(&base, ours, &context, state, NO_OPTIONS).unwrap();
        if !is_server {
            tls.set_ssl_host("localhost").unwrap();
        }
        let trusted = world.authority.0.cert.clone();
        let peer = std::thread::spawn(move || {
            use openssl::ssl::{SslAcceptor, SslConnector, SslMethod};
            let stream = if is_server {
                let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
                builder.cert_store_mut().add_cert(trusted).unwrap();
                builder.build().connect("localhost", theirs).unwrap()
            } else {
                let method = SslMethod::tls_server();
                let mut builder = SslAcceptor::mozilla_intermediate_v5(method).unwrap();
                builder.set_certificate(&identity.cert).unwrap();
                builder.set_private_key(&identity.key).unwrap();
                builder.build().accept(theirs).unwrap()
            };
            asks_and_half_closes(stream, shuts_socket)
        });
        let seen = Seen::default();
        let (note, answered) = (seen.clone(), Rc::new(Cell::new(false)));
        let done = answered.clone();
        let answers = Callbacks::new()
            .on_event(move |bev, what| {
                note.add("ours", what);
                if what == EOF {
                    assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"question"[..]));
                    bev.write(vec![b'a'; SIZE]).unwrap();
                    answered.set(true);
                }
            })
            .on_write(move |bev| {
                if done.get() {
                    bev.free(); // sends `close_notify`
                }
            });
        tls.set_callbacks(answers).unwrap();
        tls.enable(Event::READ).unwrap();
        run(&base);
        let answer = peer.join().unwrap();
        assert_eq!(answer.len(), SIZE, "{is_server} {shuts_socket}");
        assert_eq!(
            seen.of("ours"),
            [CONNECTED, EOF],
            "{is_server} {shuts_socket}"
        );
    }
}

/// An end in the middle of a handshake is a failure, whatever an end may be afterwards.
#[test]
fn end_in_the_middle_of_a_handshake_is_an_error_even_if_dirty_shutdown_is_allowed() {
    for wire in [Wire::Sockets, Wire::FiltersOnSockets] {
        for state in [
            EventBufferEvent::SSL_ACCEPTING,
            EventBufferEvent::SSL_CONNECTING,
        ] {
            let base = EventBase::new().unwrap();
            let world = World::new();
            let context = match state == EventBufferEvent::SSL_ACCEPTING {
                true => world.server(),
                false => world.client(),
            };
            let (socket, peer) = UnixStream::pair().unwrap();
            let tls = if wire == Wire::Sockets {
                EventBufferEvent::ssl_socket(&base, socket, &context, state, NO_OPTIONS).unwrap()
            } else {
                let under = EventBufferEvent::new(&base, socket, NO_OPTIONS).unwrap();
                EventBufferEvent::create_ssl_filter(&under, &context, state, NO_OPTIONS).unwrap()
            };
            tls.set_allow_ssl_dirty_shutdown(true).unwrap();
            let told: Rc<RefCell<Vec<_>>> = Rc::default();
            let note = told.clone();
            let events = Callbacks::new().on_event(move |bev, what| {
                let reason = bev.ssl_error().unwrap().unwrap_or_default();
                note.borrow_mut().push((what, reason));
                bev.free();
            });
            tls.set_callbacks(events).unwrap();
            tls.enable(Event::READ).unwrap();
            peer.shutdown(std::net::Shutdown::Write).unwrap();
            run(&base);
            let told = told.take();
            let [(what, reason)] = &told[..] else {
                panic!("{wire:?} {state:?}: {told:?}");
            };
            assert!(
                what.contains(EventBufferEvent::ERROR),
                "{wire:?} {state:?}: {what:?}"
            );
            assert!(
                reason.contains("unexpected eof"),
                "{wire:?} {state:?}: {reason}"
            );
        }
    }
}

/// libevent reports the end below as another one of the filter.
#[test]
fn end_of_the_pair_below_a_filter_after_close_notify_is_not_reported() {
    for dirty in [false, true] {
        let (base, world) = (EventBase::new().unwrap(), World::new());
        let (ours, theirs) = EventBufferEvent::create_pair(&base, NO_OPTIONS).unwrap();
        let filter = |under: &EventBufferEvent, context: EventSslContext, state| {
            EventBufferEvent::create_ssl_filter(under, &context, state, NO_OPTIONS).unwrap()
        };
        let server = filter(&ours, world.server(), EventBufferEvent::SSL_ACCEPTING);
        let client = filter(&theirs, world.client(), CONNECTING);
        client.set_ssl_host("localhost").unwrap();
        server.set_allow_ssl_dirty_shutdown(dirty).unwrap();
        let seen = until_first_event(&base, &server, &client);
        client.ssl_shutdown().unwrap();
        while seen.of("server").len() < 2 {
            poll(&base);
        }
        theirs.flush(Event::WRITE, FlushMode::Finished).unwrap();
        for _ in 0..5 {
            poll(&base);
        }
        assert_eq!(seen.of("server"), [CONNECTED, EOF], "{dirty}");
    }
}
