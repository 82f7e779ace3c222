//! `bind`, `accept`, and the sockets behind them.

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::OVER;
use crate::{Client, Server, error, get, say, serve};
use php_event::stream::{StreamContext, stream_socket_server};
use php_event::{Event, EventBase, EventHttpRequest};
use test_support::{FreesBase, alone, base_with, limited};

#[test]
fn bind_says_which_port_it_took() {
    let server = Server::with(OVER, |request| say(request, "here"));
    assert_ne!(server.address.port(), 0);
    assert_eq!(server.http.bound_addresses(), [server.address]);
    assert_eq!(server.ask(get("/")).body, "here");
}

#[test]
fn several_addresses_serve_the_same_routes() {
    let server = Server::with(OVER, |request| say(request, "here"));
    let second = server.http.bind("127.0.0.1", 0).unwrap();
    let sixth = server.http.bind("::1", 0).unwrap();
    assert!(sixth.is_ipv6());
    assert_eq!(
        server.http.bound_addresses(),
        [server.address, second, sixth]
    );
    for address in [second, sixth] {
        let body = server.serve(move |_| {
            let mut client = Client::new(OVER, address);
            client.send(get("/"));
            client.answer().body
        });
        assert_eq!(body, "here");
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let server = Server::new(OVER);
    let port = server.address.port();
    let error = server.http.bind("127.0.0.1", port).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("EventHttp::bind: 127.0.0.1:{port}: ")),
        "{text}"
    );
}

#[test]
fn names_ports_and_nonsense_are_errors_without_a_lookup() {
    let server = Server::new(OVER);
    for address in [
        "localhost",
        "",
        "[::1]:80",
        "127.0.0.1:80",
        "256.0.0.1",
        "::1\0",
    ] {
        let text = error(server.http.bind(address, 0));
        assert!(
            text.starts_with(&format!("EventHttp::bind: {address:?}: ")),
            "{text}"
        );
    }
    let text = error(server.http.bind("192.0.2.1", 0)); // nobody's
    assert!(text.starts_with("EventHttp::bind: 192.0.2.1:0: "), "{text}");
}

#[test]
fn a_listener_of_the_caller_is_served_and_made_not_to_block() {
    let server = Server::with(OVER, |request| say(request, "here"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    server.http.accept(listener).unwrap();
    assert_eq!(server.http.bound_addresses(), [server.address, address]);
    let body = server.serve(move |_| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        client.answer().body
    });
    assert_eq!(body, "here");
}

#[test]
fn a_stream_can_be_served() {
    let server = Server::with(OVER, |request| say(request, "here"));
    let stream = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default()).unwrap();
    server.http.accept(stream).unwrap();
    let address = server.http.bound_addresses()[1];
    let body = server.serve(move |_| {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        client.answer().body
    });
    assert_eq!(body, "here");
}

#[test]
fn a_socket_that_is_not_a_tcp_listener_is_refused() {
    let server = Server::new(OVER);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
    for (text, wanted) in [
        (
            error(server.http.accept(stream)),
            "the socket does not listen",
        ),
        (
            error(server.http.accept(UdpSocket::bind("127.0.0.1:0").unwrap())),
            "does not listen",
        ),
        (error(server.http.accept(std::io::stdin())), "not a socket"),
        (error(server.http.accept(unix)), "not a TCP socket"),
    ] {
        assert!(
            text.starts_with("EventHttp::accept: ") && text.contains(wanted),
            "{text}"
        );
    }
    assert_eq!(server.http.bound_addresses().len(), 1);
}

/// A listener that tells when it is dropped.
struct Told(TcpListener, Rc<Cell<bool>>);

impl AsFd for Told {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.1.set(true);
    }
}

#[test]
fn sockets_close_with_the_last_handle_of_the_server() {
    let base = EventBase::new().unwrap();
    let http = OVER.http(&base).unwrap();
    let dropped = Rc::new(Cell::new(false));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [
        listener.local_addr().unwrap(),
        http.bind("127.0.0.1", 0).unwrap(),
    ];
    http.accept(Told(listener, dropped.clone())).unwrap();
    let clone = http.clone();
    drop(http);
    assert!(!dropped.get());
    drop(clone);
    assert!(dropped.get());
    for address in addresses {
        assert!(TcpStream::connect(address).is_err());
    }
    assert_eq!(
        limited(|| base.dispatch()).unwrap(),
        php_event::LoopEnd::NoEvents
    );
}

#[test]
fn a_server_that_listens_keeps_the_loop_alive() {
    let server = Server::new(OVER);
    let base = server.base.clone();
    base.exit(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(
        limited(|| base.dispatch()).unwrap(),
        php_event::LoopEnd::Exit
    );
    drop(server.http);
    assert_eq!(
        limited(|| base.dispatch()).unwrap(),
        php_event::LoopEnd::NoEvents
    );
}

#[test]
fn clients_that_waited_before_the_loop_ran_are_all_served() {
    let server = Server::with(OVER, |request| say(request, "here"));
    let address = server.address;
    let mut waiting: Vec<_> = (0..20).map(|_| Client::new(OVER, address)).collect();
    for client in &mut waiting {
        client.send(get("/"));
    }
    let bodies = serve(&server.base, move || {
        waiting
            .iter_mut()
            .map(|client| client.answer().body)
            .collect::<Vec<_>>()
    });
    assert_eq!(bodies, ["here"; 20]);
}

/// In a process of its own, since it uses up the descriptors.
#[test]
fn without_descriptors_accepting_pauses_without_a_spin_and_resumes() {
    const NAME: &str = "listening::without_descriptors_accepting_pauses_without_a_spin_and_resumes";
    if std::env::var_os("EVENT_HTTP_ALONE").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env("EVENT_HTTP_ALONE", "1")
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let server = Server::with(OVER, |request: &EventHttpRequest| say(request, "here"));
    let waiting = Client::new(OVER, server.address);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 100, hard).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        hoard.push(file);
    }
    let over = Rc::new(Cell::new(false));
    let tell = over.clone();
    let timer = Event::timer(&server.base, move |_| tell.set(true)).unwrap();
    timer.add(Some(Duration::from_millis(300))).unwrap();
    let turns = Cell::new(0);
    server.until(|| {
        turns.set(turns.get() + 1);
        over.get()
    });
    let turns = turns.get();
    assert!(turns < 30, "{turns} turns in 300 ms");
    drop(hoard);
    assert_eq!(server.ask(get("/")).body, "here");
    drop(waiting);
}

/// A TCP listener that shows a unix socket when it is asked again.
struct Changing {
    first: TcpListener,
    other: UnixListener,
    asked: Rc<Cell<u32>>,
}

impl AsFd for Changing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.set(self.asked.get() + 1);
        match self.asked.get() {
            1 => self.first.as_fd(),
            _ => self.other.as_fd(),
        }
    }
}

#[test]
fn a_socket_is_asked_for_its_descriptor_once() {
    let server = Server::with(OVER, |request| say(request, "hello"));
    let folder = tempfile::tempdir().unwrap();
    let asked = Rc::new(Cell::new(0));
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    let other = UnixListener::bind(folder.path().join("socket")).unwrap();
    let changing = Changing {
        first,
        other,
        asked: asked.clone(),
    };
    server.http.accept(changing).unwrap();
    assert_eq!(server.http.bound_addresses(), [server.address, address]);
    let answer = serve(&server.base, move || {
        let mut client = Client::new(OVER, address);
        client.send(get("/"));
        client.answer()
    });
    assert_eq!(answer.body, "hello");
    assert_eq!(asked.get(), 1);
}

/// A listener that binds its server to another address when it is asked for its descriptor, and
/// lets go of it: the server owns the listener.
struct Binding(TcpListener, Cell<Option<php_event::EventHttp>>);

impl AsFd for Binding {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.take().unwrap().bind("127.0.0.1", 0).unwrap();
        self.0.as_fd()
    }
}

#[test]
fn a_socket_may_use_the_server_while_it_is_asked_for_its_descriptor() {
    let server = Server::new(OVER);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let binding = Binding(listener, Cell::new(Some(server.http.clone())));
    server.http.accept(binding).unwrap();
    assert_eq!(server.http.bound_addresses().len(), 3);
}

/// libevent tells no number of a descriptor before it has the backend watch it, and `select` has
/// no room for those from 1,024 on.
#[test]
fn a_client_whose_descriptor_select_cannot_watch_is_turned_away() {
    alone(&[], || {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(2048)), hard).unwrap();
        let base = base_with("select");
        let http = OVER.http(&base).unwrap();
        http.set_default_callback(|request| say(request, "served"))
            .unwrap();
        let address = http.bind("127.0.0.1", 0).unwrap();
        let ask = move || {
            let mut client = Client::new(OVER, address);
            client.send(get("/"));
            client.answer().body
        };
        assert_eq!(serve(&base, ask), "served");
        base.exit(Some(Duration::from_millis(50))).unwrap(); // the connection ends
        base.dispatch().unwrap();
        let mut taken = vec![File::open("/dev/null").unwrap()];
        while taken.last().unwrap().as_raw_fd() < 1024 {
            taken.push(File::open("/dev/null").unwrap());
        }
        for _ in 0..3 {
            let mut client = TcpStream::connect(address).unwrap();
            assert!(client.as_raw_fd() >= 1024);
            client.set_nonblocking(true).unwrap();
            let mut byte = [0];
            limited(|| {
                while let Err(error) = client.read(&mut byte) {
                    if error.kind() != ErrorKind::WouldBlock {
                        return;
                    }
                    base.r#loop(EventBase::LOOP_NONBLOCK).unwrap();
                }
                assert_eq!(byte, [0], "nothing is answered");
            });
        }
        drop(taken);
        assert_eq!(serve(&base, ask), "served");
    });
}

#[test]
fn a_socket_that_frees_the_base_when_it_is_asked_is_refused() {
    let server = Server::new(OVER);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = server.http.accept(FreesBase(listener, server.base.clone()));
    assert_eq!(
        error(refused),
        "EventHttp::accept: the base was already freed"
    );
    assert_eq!(server.http.bound_addresses(), [server.address]);
}
