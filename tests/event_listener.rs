//! `EventListener`: addresses and sockets to listen on, bursts of connections, failures to
//! accept, panics, and the base that it gives back.
#![allow(unsafe_code, reason = "two tests look at a descriptor by its number")]

#[path = "event_listener/targets.rs"]
mod targets;

use std::cell::{Cell, RefCell};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use php_event::stream::{Stream, fread, fwrite, stream_set_timeout};
use php_event::{
    Error, Event, EventBase, EventListener, EventUtil, ListenerFlags, LoopEnd, Result, SocketName,
};
use socket2::SockRef;
use test_support::alone;
use test_support::{Drops, Readable, base_with, limited, panic_of, poll, run, run_once};

const NO_FLAGS: ListenerFlags = ListenerFlags::empty();

/// A listener on a free port, and the address.
fn listen<F>(base: &EventBase, flags: ListenerFlags, callback: F) -> (EventListener, SocketAddr)
where
    F: FnMut(&EventListener, Stream, Option<SocketAddr>) + 'static,
{
    let listener = EventListener::new(base, callback, flags, -1, "127.0.0.1:0").unwrap();
    let address = listener.get_socket_name().unwrap().ip().unwrap();
    (listener, address)
}

/// What a listener accepted, in order.
type Accepted = Rc<RefCell<Vec<(Stream, Option<SocketAddr>)>>>;

/// A listener that keeps its connections.
fn keeping(base: &EventBase, flags: ListenerFlags) -> (EventListener, SocketAddr, Accepted) {
    let accepted = Accepted::default();
    let kept = accepted.clone();
    let (listener, address) = listen(base, flags, move |_listener, stream, peer| {
        kept.borrow_mut().push((stream, peer));
    });
    (listener, address, accepted)
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

/// Waits until the other side has closed, without data.
#[track_caller]
fn closes(mut client: &TcpStream) {
    let limit = Some(Duration::from_secs(20));
    client.set_read_timeout(limit).unwrap();
    match client.read(&mut [0; 1]) {
        Ok(n) => assert_eq!(n, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[track_caller]
fn is_open(mut client: &TcpStream) {
    client.set_nonblocking(true).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
}

#[test]
fn the_constants_have_the_numbers_of_php() {
    let flags = [
        EventListener::OPT_LEAVE_SOCKETS_BLOCKING,
        EventListener::OPT_CLOSE_ON_FREE,
        EventListener::OPT_CLOSE_ON_EXEC,
        EventListener::OPT_REUSEABLE,
        EventListener::OPT_THREADSAFE,
        EventListener::OPT_DISABLED,
        EventListener::OPT_DEFERRED_ACCEPT,
    ];
    assert_eq!(flags.map(|flag| flag.bits()), [1, 2, 4, 8, 16, 32, 64]);
}

#[test]
fn a_connection_comes_with_its_stream_and_its_peers_address() {
    for method in Event::get_supported_methods() {
        let base = base_with(method);
        let calls = Rc::new(Cell::new(0));
        let own: Rc<RefCell<Option<EventListener>>> = Rc::default();
        let (count, same) = (calls.clone(), own.clone());
        let expected = Rc::new(Cell::new(None));
        let peer_of_client = expected.clone();
        let (listener, address) = listen(&base, NO_FLAGS, move |this, stream, peer| {
            assert!(
                same.borrow().as_ref() == Some(this),
                "another listener's handle"
            );
            assert_eq!(peer, peer_of_client.get());
            fwrite(&stream, "hello").unwrap();
            count.set(count.get() + 1);
        });
        own.replace(Some(listener));
        poll(&base);
        assert_eq!(calls.get(), 0);
        let mut client = connect(address);
        expected.set(Some(client.local_addr().unwrap()));
        run_once(&base);
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap(); // ends, since the stream was dropped
        assert_eq!((all.as_str(), calls.get()), ("hello", 1));
        poll(&base);
        assert_eq!(calls.get(), 1);
        own.take();
    }
}

#[test]
fn one_readiness_brings_every_connection_that_waits() {
    let base = EventBase::new().unwrap();
    let (_listener, address, accepted) = keeping(&base, NO_FLAGS);
    let clients = [0; 3].map(|_| connect(address));
    run_once(&base);
    let peers = accepted.take().into_iter().map(|(_stream, peer)| peer);
    let expected = clients.map(|client| Some(client.local_addr().unwrap()));
    assert_eq!(peers.collect::<Vec<_>>(), expected);
}

#[test]
fn a_client_that_hung_up_in_the_queue_is_still_accepted() {
    let base = EventBase::new().unwrap();
    let (_listener, address, accepted) = keeping(&base, NO_FLAGS);
    drop(connect(address));
    run_once(&base);
    let (stream, _peer) = accepted.borrow_mut().pop().unwrap();
    assert_eq!(fread(&stream, 10).unwrap(), b"");
}

#[test]
fn disabled_in_its_closure_leaves_the_rest_waiting() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, NO_FLAGS);
    let kept = accepted.clone();
    let one_at_a_time = move |this: &EventListener, stream, peer| {
        kept.borrow_mut().push((stream, peer));
        this.disable().unwrap();
        this.disable().unwrap();
    };
    listener.set_callback(one_at_a_time).unwrap();
    let _clients = [0; 3].map(|_| connect(address));
    for n in 1..=3 {
        assert_eq!(run(&base), LoopEnd::NoEvents); // a disabled one keeps no loop running
        assert_eq!(accepted.borrow().len(), n);
        listener.enable().unwrap();
        listener.enable().unwrap();
    }
}

#[test]
fn made_disabled_it_accepts_nothing_until_it_is_enabled() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, EventListener::OPT_DISABLED);
    let _client = connect(address);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(accepted.borrow().len(), 0);
    listener.enable().unwrap();
    run_once(&base);
    assert_eq!(accepted.borrow().len(), 1);
}

#[test]
fn a_deferred_connection_comes_when_its_client_has_sent_something() {
    let base = EventBase::new().unwrap();
    let (_listener, address, accepted) = keeping(&base, EventListener::OPT_DEFERRED_ACCEPT);
    let mut client = loop {
        let start = Instant::now();
        let client = connect(address);
        poll(&base);
        if start.elapsed() < Duration::from_millis(500) {
            break client;
        }
        accepted.take(); // the system waits for data no longer than a second
    };
    assert_eq!(accepted.borrow().len(), 0);
    client.write_all(b"now").unwrap();
    run_once(&base);
    let (stream, _peer) = accepted.borrow_mut().pop().unwrap();
    assert_eq!(fread(&stream, 10).unwrap(), b"now");
}

/// The socket behind a listener.
fn socket(listener: &EventListener) -> BorrowedFd<'_> {
    // SAFETY: the listener is not freed, and the test frees it only when this is gone.
    unsafe { BorrowedFd::borrow_raw(listener.fd().unwrap()) }
}

#[test]
fn sockets_do_not_block_and_are_closed_on_exec_with_or_without_flags() {
    let flag = |fd: BorrowedFd<'_>, arg| fcntl(fd, arg).unwrap();
    for flags in [NO_FLAGS, EventListener::OPT_LEAVE_SOCKETS_BLOCKING] {
        let base = EventBase::new().unwrap();
        let (listener, address, accepted) = keeping(&base, flags);
        let _client = connect(address);
        run_once(&base);
        let (stream, _peer) = accepted.borrow_mut().pop().unwrap();
        for fd in [socket(&listener), stream.as_fd()] {
            let status = OFlag::from_bits_retain(flag(fd, FcntlArg::F_GETFL));
            assert!(status.contains(OFlag::O_NONBLOCK));
            let exec = FdFlag::from_bits_retain(flag(fd, FcntlArg::F_GETFD));
            assert!(exec.contains(FdFlag::FD_CLOEXEC));
        }
    }
}

#[test]
fn accepted_streams_wait_only_if_they_are_left_blocking() {
    for (flags, expected) in [
        (NO_FLAGS, ErrorKind::WouldBlock),
        (
            EventListener::OPT_LEAVE_SOCKETS_BLOCKING,
            ErrorKind::TimedOut,
        ),
    ] {
        let base = EventBase::new().unwrap();
        let (_listener, address, accepted) = keeping(&base, flags);
        let _client = connect(address);
        run_once(&base);
        let (stream, _peer) = accepted.borrow_mut().pop().unwrap();
        stream_set_timeout(&stream, Duration::from_millis(1)).unwrap();
        assert_eq!(fread(&stream, 10).unwrap_err().kind(), expected);
    }
}

#[test]
fn a_bound_socket_keeps_alive_and_is_reuseable_if_asked() {
    for (flags, reuse) in [(NO_FLAGS, false), (EventListener::OPT_REUSEABLE, true)] {
        let base = EventBase::new().unwrap();
        let (listener, address, accepted) = keeping(&base, flags);
        let fd = socket(&listener);
        let options = SockRef::from(&fd);
        assert!(options.keepalive().unwrap());
        assert_eq!(options.reuse_address().unwrap(), reuse);
        let _client = connect(address);
        run_once(&base);
        let (stream, _peer) = accepted.borrow_mut().pop().unwrap();
        assert!(SockRef::from(&stream).keepalive().unwrap());
    }
}

#[test]
fn another_closure_gets_the_next_connection_of_the_burst() {
    let base = EventBase::new().unwrap();
    let (old, new, got) = (
        Drops::default(),
        Drops::default(),
        Rc::new(RefCell::new(Vec::new())),
    );
    let (token, seen, next, first) = (old.token(), old.clone(), new.clone(), got.clone());
    let (listener, address) = listen(&base, NO_FLAGS, move |this, _stream, _peer| {
        token.hold();
        first.borrow_mut().push("old");
        let (token, got) = (next.token(), first.clone());
        this.set_callback(move |_, _, _| {
            token.hold();
            got.borrow_mut().push("new");
        })
        .unwrap();
        assert_eq!(seen.count(), 0, "dropped under the running closure");
    });
    let _clients = [0; 3].map(|_| connect(address));
    run_once(&base);
    assert_eq!(got.take(), ["old", "new", "new"]);
    assert_eq!((old.count(), new.count()), (1, 0));
    drop(listener);
    assert_eq!(new.count(), 1);
}

#[test]
fn freed_in_its_closure_it_abandons_the_burst_and_closes_its_socket() {
    let base = EventBase::new().unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let (listener, address) = listen(&base, NO_FLAGS, move |this, _stream, _peer| {
        count.set(count.get() + 1);
        this.free();
        assert_eq!(this.fd(), None);
        this.free();
    });
    let clients = [0; 3].map(|_| connect(address));
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(calls.get(), 1);
    clients.iter().for_each(closes);
    drop(listener);
}

/// libevent deletes a listener's event only when its closure has returned; a socket that was
/// made meanwhile, and got the number, must not lose its own event to that.
#[test]
fn freed_in_its_closure_its_number_is_free_for_another_socket() {
    alone(&[], || {
        for method in Event::get_supported_methods() {
            let base = base_with(method);
            let next = Rc::new(RefCell::new(None));
            let (own, made) = (base.clone(), next.clone());
            let heard = Rc::new(Cell::new(false));
            let hears = heard.clone();
            let (listener, address) = listen(&base, NO_FLAGS, move |this, stream, _peer| {
                drop(stream);
                let number = this.fd().unwrap();
                this.free();
                let (source, hears) = (Readable::new(), hears.clone());
                assert_eq!(EventUtil::get_socket_fd(&source), number);
                let event = Event::new(&own, source, Event::READ, move |_, _, _| hears.set(true));
                let event = event.unwrap();
                event.add(None).unwrap();
                made.replace(Some(event));
            });
            let _client = connect(address);
            run_once(&base);
            run_once(&base);
            assert!(heard.get(), "{method}");
            drop((listener, next));
        }
    });
}

#[test]
fn every_call_on_a_freed_listener_is_freed() {
    let base = EventBase::new().unwrap();
    let drops = Drops::default();
    let (token, other) = (drops.token(), drops.token());
    let (listener, address) = listen(&base, NO_FLAGS, move |_, _, _| token.hold());
    listener.set_error_callback(move |_| other.hold()).unwrap();
    let (clone, client) = (listener.clone(), connect(address));
    assert!(clone == listener);
    listener.free();
    assert_eq!(drops.count(), 2);
    listener.free();
    let calls: [(&str, Result<()>); 6] = [
        ("enable", clone.enable()),
        ("disable", clone.disable()),
        ("setCallback", clone.set_callback(|_, _, _| {})),
        ("setErrorCallback", clone.set_error_callback(|_| {})),
        ("getBase", clone.get_base().map(drop)),
        ("getSocketName", clone.get_socket_name().map(drop)),
    ];
    for (method, result) in calls {
        let text = format!("EventListener::{method}: the listener was already freed");
        assert_eq!(result.unwrap_err().to_string(), text);
    }
    assert_eq!(clone.fd(), None);
    assert_eq!(serde_json::to_string(&clone).unwrap(), r#"{"fd":null}"#);
    assert_eq!(run(&base), LoopEnd::NoEvents);
    closes(&client);
}

#[test]
fn its_json_is_its_number() {
    let base = EventBase::new().unwrap();
    let (listener, _address, _accepted) = keeping(&base, NO_FLAGS);
    let fd = listener.fd().unwrap();
    assert_eq!(
        serde_json::to_string(&listener).unwrap(),
        format!("{{\"fd\":{fd}}}")
    );
    assert!(format!("{listener:?}").starts_with("EventListener { raw: 0x"));
}

#[test]
fn a_panic_in_the_closure_breaks_the_loop_and_disables_the_listener() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, NO_FLAGS);
    let kept = accepted.clone();
    let mut first = true;
    let callback = move |_: &EventListener, stream, peer| {
        if std::mem::take(&mut first) {
            panic!("the first connection");
        }
        kept.borrow_mut().push((stream, peer));
    };
    listener.set_callback(callback).unwrap();
    let clients = [0; 2].map(|_| connect(address));
    assert_eq!(panic_of(|| run(&base)), "the first connection");
    assert!(base.got_stop() && !base.got_exit());
    closes(&clients[0]);
    is_open(&clients[1]);
    assert_eq!(run(&base), LoopEnd::NoEvents); // disabled
    listener.enable().unwrap();
    run_once(&base);
    assert_eq!(accepted.borrow().len(), 1);
}

#[test]
fn interrupt_in_the_closure_leaves_the_other_connections_to_the_next_loop() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, NO_FLAGS);
    let kept = accepted.clone();
    let callback = move |_: &EventListener, stream, peer| {
        kept.borrow_mut().push((stream, peer));
        EventBase::interrupt();
    };
    listener.set_callback(callback).unwrap();
    let _clients = [0; 3].map(|_| connect(address));
    for loops in 1..=3 {
        assert_eq!(run(&base), LoopEnd::Stop);
        assert_eq!(accepted.borrow().len(), loops);
        assert!(listener.is_pending());
    }
}

#[test]
fn a_listener_that_its_closure_disables_before_interrupt_stays_disabled() {
    let base = EventBase::new().unwrap();
    let (listener, address) = listen(&base, NO_FLAGS, |listener, _stream, _peer| {
        listener.disable().unwrap();
        EventBase::interrupt();
    });
    let _client = connect(address);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert!(!listener.is_pending());
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// A listener whose socket can accept nothing: it is readable, and each accept fails.
fn failing(base: &EventBase) -> EventListener {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let twin = socket.try_clone().unwrap();
    let nobody = |_: &EventListener, _, _: Option<_>| panic!("accepted");
    let listener = EventListener::new(base, nobody, NO_FLAGS, 0, socket).unwrap();
    SockRef::from(&twin)
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    listener
}

#[test]
fn the_error_closure_runs_in_each_turn_until_it_disables_the_listener() {
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let note = seen.clone();
    listener
        .set_error_callback(move |this| {
            note.borrow_mut().push(EventUtil::get_last_socket_errno());
            if note.borrow().len() == 3 {
                this.disable().unwrap();
            }
        })
        .unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert_eq!(seen.take(), [libc::EINVAL; 3]);
}

#[test]
fn a_panic_in_the_error_closure_breaks_the_loop_and_disables_the_listener() {
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    listener
        .set_error_callback(|_| panic!("no connection"))
        .unwrap();
    assert_eq!(panic_of(|| run(&base)), "no connection");
    assert!(base.got_stop());
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// Counts the warnings of this thread.
struct Warnings(AtomicUsize);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert_eq!(*event.metadata().level(), tracing::Level::WARN);
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn without_an_error_closure_it_pauses_and_logs_once() {
    let log = Arc::new(Warnings(AtomicUsize::new(0)));
    let _guard = tracing::subscriber::set_default(log.clone());
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    let start = Instant::now();
    for _ in 0..3 {
        run_once(&base); // accepting fails
        run_once(&base); // the pause is over
    }
    let three_pauses = Duration::from_millis(270); // the clock of the loop is coarse
    assert!(start.elapsed() >= three_pauses, "{:?}", start.elapsed());
    assert_eq!(log.0.load(Ordering::Relaxed), 1);
    run_once(&base);
    listener.disable().unwrap(); // ends the pause too
    assert_eq!(poll(&base), LoopEnd::NoEvents);
    listener.enable().unwrap();
    run_once(&base);
    listener.free();
    assert_eq!(poll(&base), LoopEnd::NoEvents);
}

#[test]
fn it_is_pending_while_it_is_enabled_or_pauses() {
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    assert!(listener.is_pending());
    run_once(&base); // accepting fails
    assert!(listener.is_pending());
    listener.disable().unwrap();
    assert!(!listener.is_pending());
    listener.enable().unwrap();
    assert!(listener.is_pending());
    base.free().unwrap();
    assert!(!listener.is_pending());
    let (listener, ..) = keeping(&EventBase::new().unwrap(), EventListener::OPT_DISABLED);
    assert!(!listener.is_pending());
    listener.enable().unwrap();
    listener.free();
    assert!(!listener.is_pending());
}

#[test]
fn enabled_in_its_pause_it_tries_at_once() {
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    run_once(&base);
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let callback = move |this: &EventListener| {
        count.set(count.get() + 1);
        this.disable().unwrap();
    };
    listener.set_error_callback(callback).unwrap();
    poll(&base);
    assert_eq!(calls.get(), 0);
    listener.enable().unwrap();
    poll(&base);
    assert_eq!(calls.get(), 1);
    assert_eq!(run(&base), LoopEnd::NoEvents); // the pause is over
}

/// Lets this process open no more descriptors; returns what it could before.
fn no_more_descriptors() -> (u64, u64) {
    let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let next = File::open("/dev/null").unwrap();
    let number = EventUtil::get_socket_fd(&next);
    drop(next);
    setrlimit(
        Resource::RLIMIT_NOFILE,
        number.try_into().unwrap(),
        before.1,
    )
    .unwrap();
    assert!(File::open("/dev/null").is_err());
    before
}

/// Whether this client is not the last that was accepted; forgets all when it is.
fn accepts_not_yet(accepted: &Accepted, client: &TcpStream) -> bool {
    let peer = client.local_addr().unwrap();
    let here = accepted
        .borrow()
        .last()
        .is_some_and(|last| last.1 == Some(peer));
    if here {
        accepted.take();
    }
    !here
}

#[test]
fn out_of_descriptors_it_recovers_without_a_word_on_stderr() {
    alone(&[], || {
        let log = Arc::new(Warnings(AtomicUsize::new(0)));
        let _guard = tracing::subscriber::set_default(log.clone());
        let base = EventBase::new().unwrap();
        let (listener, address, accepted) = keeping(&base, NO_FLAGS);
        for failures in 1..=2 {
            let _client = connect(address);
            let limits = no_more_descriptors();
            run_once(&base); // accepting fails
            run_once(&base); // the pause is over
            assert_eq!(accepted.borrow().len(), 0);
            assert_eq!(log.0.load(Ordering::Relaxed), failures);
            setrlimit(Resource::RLIMIT_NOFILE, limits.0, limits.1).unwrap();
            let client = connect(address); // Valgrind's accept loses the other one
            while accepts_not_yet(&accepted, &client) {
                run_once(&base); // nobody enables it
            }
        }
        drop(listener);
    });
}

#[test]
fn out_of_descriptors_the_error_closure_learns_it_by_errno() {
    alone(&[], || {
        let base = EventBase::new().unwrap();
        let (listener, address, accepted) = keeping(&base, NO_FLAGS);
        let text = Rc::new(RefCell::new(String::new()));
        let told = text.clone();
        let callback = move |this: &EventListener| {
            assert_eq!(EventUtil::get_last_socket_errno(), libc::EMFILE);
            told.replace(EventUtil::get_last_socket_error());
            this.disable().unwrap();
        };
        listener.set_error_callback(callback).unwrap();
        let _client = connect(address);
        let limits = no_more_descriptors();
        assert_eq!(run(&base), LoopEnd::NoEvents);
        assert_eq!(*text.borrow(), "Too many open files");
        setrlimit(Resource::RLIMIT_NOFILE, limits.0, limits.1).unwrap();
        listener.enable().unwrap();
        let client = connect(address); // Valgrind's accept loses the other one
        while accepts_not_yet(&accepted, &client) {
            run_once(&base);
        }
    });
}

/// Number 0 would be null to a PHP callback.
#[test]
fn a_connection_that_gets_the_number_0_is_one_like_any_other() {
    alone(&[], || {
        let base = EventBase::new().unwrap();
        let (_listener, address, accepted) = keeping(&base, NO_FLAGS);
        let mut client = connect(address);
        // SAFETY: this process is the test's own, and nothing in it reads standard input.
        assert_eq!(unsafe { libc::close(0) }, 0);
        run_once(&base);
        let (stream, peer) = accepted.borrow_mut().pop().unwrap();
        assert_eq!(EventUtil::get_socket_fd(&stream), 0);
        assert_eq!(peer, Some(client.local_addr().unwrap()));
        fwrite(&stream, "zero").unwrap();
        drop(stream);
        let mut all = String::new();
        client.read_to_string(&mut all).unwrap();
        assert_eq!(all, "zero");
        // SAFETY: the number is free again; the test's process is to end with one there.
        assert_eq!(unsafe { libc::dup2(1, 0) }, 0);
    });
}

#[test]
fn it_gives_back_the_base_that_it_was_made_with() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, NO_FLAGS);
    let same = listener.get_base().unwrap();
    assert!(same == base && same == listener.get_base().unwrap());
    let _client = connect(address);
    run_once(&same);
    assert_eq!(accepted.borrow().len(), 1);
    let kept = Rc::new(Cell::new(false));
    let ran = kept.clone();
    let later = Event::timer(&base, move |_event| ran.set(true)).unwrap();
    later.add(Some(Duration::ZERO)).unwrap();
    later.detach();
    drop(same); // one of two handles: what the base keeps stays
    listener.disable().unwrap();
    assert_eq!(run(&base), LoopEnd::NoEvents);
    assert!(kept.get());
}

#[test]
fn the_base_that_it_gives_back_lives_after_every_other_handle() {
    let base = EventBase::new().unwrap();
    let (listener, address, accepted) = keeping(&base, NO_FLAGS);
    drop(base);
    let base = listener.get_base().unwrap();
    let ran = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let ran = ran.clone();
        let later = Event::timer(&base, move |_event| ran.set(ran.get() + 1)).unwrap();
        later.add(Some(Duration::ZERO)).unwrap();
        later.detach();
    }
    let other = listener.get_base().unwrap();
    drop(other);
    let _client = connect(address);
    while accepted.borrow().is_empty() || ran.get() < 2 {
        run_once(&base);
    }
    let drops = Drops::default();
    let token = drops.token();
    let never = Event::timer(&base, move |_event| token.hold()).unwrap();
    never.add(Some(Duration::from_secs(3600))).unwrap();
    never.detach();
    drop(base);
    assert_eq!(drops.count(), 1, "the last handle leaves a detached event");
    let base = listener.get_base().unwrap();
    drop(listener);
    assert_eq!(run(&base), LoopEnd::NoEvents);
}

/// In PHP this frees the base twice.
#[test]
fn the_base_that_it_gives_back_may_be_freed() {
    let base = EventBase::new().unwrap();
    let (listener, _address, _accepted) = keeping(&base, NO_FLAGS);
    listener.get_base().unwrap().free().unwrap();
    let error = listener.enable().unwrap_err();
    assert_eq!(
        error.to_string(),
        "EventListener::enable: the base was already freed"
    );
    assert!(matches!(base.dispatch(), Err(Error::Freed { .. })));
    let again = listener.get_base().unwrap();
    assert!(matches!(again.dispatch(), Err(Error::Freed { .. })));
    let refused = EventListener::new(&base, |_, _, _| {}, NO_FLAGS, -1, "127.0.0.1:0");
    assert!(matches!(refused, Err(Error::Freed { object: "base", .. })));
    assert!(matches!(listener.get_socket_name(), Ok(SocketName::Ip(_))));
    drop((base, again));
    listener.free();
}

#[test]
fn freeing_the_base_in_the_closure_is_refused() {
    let base = EventBase::new().unwrap();
    let refused = Rc::new(Cell::new(false));
    let seen = refused.clone();
    let (listener, address) = listen(&base, NO_FLAGS, move |this, _stream, _peer| {
        let base = this.get_base().unwrap();
        seen.set(matches!(base.free(), Err(Error::State { .. })));
        assert!(matches!(base.dispatch(), Err(Error::State { .. })));
        base.stop().unwrap();
    });
    let _client = connect(address);
    assert_eq!(run(&base), LoopEnd::Stop);
    assert!(refused.get());
    drop(listener);
}

#[test]
fn a_thousand_connections_leak_no_descriptor() {
    alone(&[], || {
        let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
        let base = EventBase::new().unwrap();
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let before = descriptors();
        let (listener, address) = listen(&base, NO_FLAGS, move |this, stream, _peer| {
            fwrite(&stream, "!").unwrap();
            count.set(count.get() + 1);
            if count.get() == 1_000 {
                this.disable().unwrap();
            }
        });
        let client = std::thread::spawn(move || {
            for _ in 0..1_000 {
                connect(address).read_exact(&mut [0; 1]).unwrap();
            }
        });
        limited(|| base.dispatch()).unwrap();
        client.join().unwrap();
        drop(listener);
        assert_eq!((calls.get(), descriptors()), (1_000, before));
    });
}

/// The backend may refuse to watch the socket again, as epoll does at a limit of the system.
#[test]
#[allow(unsafe_code)]
fn refused_after_a_pause_it_pauses_again() {
    let base = EventBase::new().unwrap();
    let listener = failing(&base);
    run_once(&base); // accepting fails
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    listener
        .set_error_callback(move |this: &EventListener| {
            count.set(count.get() + 1);
            this.disable().unwrap();
        })
        .unwrap();
    let number = listener.fd().unwrap();
    let file = File::open("/dev/null").unwrap(); // which epoll refuses
    // SAFETY: the number is the listener's, and open.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    let socket = socket.try_clone_to_owned().unwrap();
    // SAFETY: the number stands for the file until the second `dup2`.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
    run_once(&base); // the pause is over
    assert_eq!(calls.get(), 0);
    // SAFETY: the number stands for the listener's socket again.
    assert_eq!(unsafe { libc::dup2(socket.as_raw_fd(), number) }, number);
    run(&base);
    assert_eq!(calls.get(), 1);
}

#[test]
fn its_base_is_known_after_it_was_freed_too() {
    let base = EventBase::new().unwrap();
    let (listener, _address, _accepted) = keeping(&base, NO_FLAGS);
    listener.free();
    assert_eq!(listener.base(), base);
    assert!(listener.get_base().is_err());
}
