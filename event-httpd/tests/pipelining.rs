//! How long well-behaved clients wait beside a thousand that pipeline.
//!
//! ```sh
//! cargo test --release -p event-httpd --test pipelining -- --ignored --nocapture
//! ```
//! It takes half a minute and measures: run it on a machine that does nothing else.

mod support_http;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::unistd::gettid;
use php_event::{Event, EventBase};
use support_http::{Address, Client, GET, Server};
use test_support::raise_descriptor_limit;

const PEERS: usize = 1000;
const CLIENTS: usize = 4;
const WHILE: Duration = Duration::from_secs(6);

/// How much longer the slowest hundredth of the answers may take beside peers that pipeline than
/// beside as many that ask in turn.
const FACTOR: u32 = 3;

/// What the thousand do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    /// Nothing.
    Idle,
    /// They ask again when they have an answer.
    InTurn,
    /// They keep this many requests open, and read the answers.
    Pipelining(usize),
    /// They send this many requests at once, and read nothing.
    Deaf(usize),
}

/// A thread with all of them.
struct Crowd {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Crowd {
    fn start(server: &Server, peers: Peers) -> Self {
        let streams: Vec<TcpStream> = (0..PEERS).map(|_| connect(server)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            yield_to_others();
            run(streams, peers, &stopped)
        });
        Self { stop, thread }
    }

    /// Ends them; the bytes that they have read.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Lets every other thread run before this one, at once. Otherwise the clients wait for a core
/// and not for the server: for 3 ms, which is what Linux gives a thread that computes.
fn yield_to_others() {
    let thread = gettid().to_string();
    let status = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status();
    assert!(status.unwrap().success());
}

fn connect(server: &Server) -> TcpStream {
    let Address::Tcp(address) = server.address() else {
        panic!("the server listens on a unix socket");
    };
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nonblocking(true).unwrap();
    stream
}

/// Keeps `peers` busy until `stop`; the bytes that they have read.
fn run(streams: Vec<TcpStream>, peers: Peers, stop: &AtomicBool) -> u64 {
    let base = EventBase::new().unwrap();
    let total = std::rc::Rc::new(std::cell::Cell::new(0));
    let (first, reads) = match peers {
        Peers::Idle => (0, false),
        Peers::InTurn => (1, true),
        Peers::Pipelining(open) => (open, true),
        Peers::Deaf(open) => (open, false),
    };
    let mut events = Vec::new();
    for stream in streams {
        send(&stream, first);
        let (total, mut buffer) = (std::rc::Rc::clone(&total), vec![0; 1 << 16]);
        let event = Event::new(
            &base,
            stream,
            Event::READ | Event::PERSIST,
            move |stream, _, _| {
                let read = (&*stream).read(&mut buffer).unwrap_or(0);
                total.set(total.get() + read as u64);
                send(stream, answers(&buffer[..read]));
            },
        );
        let event = event.unwrap();
        if reads {
            event.add(None).unwrap();
        }
        events.push(event);
    }
    while !stop.load(Ordering::Relaxed) {
        base.exit(Some(Duration::from_millis(20))).unwrap();
        base.dispatch().unwrap();
    }
    total.get()
}

/// How many answers begin in these bytes, and a few less where one is cut in two.
fn answers(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter(|line| line.starts_with(b"HTTP/1.1 200") || line.ends_with(b"}HTTP/1.1 200 OK\r"))
        .count()
}

/// Sends up to this many requests, as far as there is room.
fn send(mut stream: &TcpStream, requests: usize) {
    if let Err(error) = stream.write(&GET.repeat(requests)) {
        let kind = error.kind();
        let full = matches!(kind, ErrorKind::WouldBlock | ErrorKind::ConnectionReset);
        assert!(full || kind == ErrorKind::BrokenPipe, "{error}");
    }
}

/// The median and the 99th percentile of the times that answers took, and how many there were.
fn waits(server: &Server) -> (Duration, Duration, usize) {
    let clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    let threads: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            thread::spawn(move || {
                let (start, mut waits) = (Instant::now(), Vec::new());
                while start.elapsed() < WHILE {
                    let asked = Instant::now();
                    client.ask();
                    waits.push(asked.elapsed());
                    thread::sleep(Duration::from_millis(3));
                }
                waits
            })
        })
        .collect();
    let all = threads.into_iter().map(|thread| thread.join().unwrap());
    let mut all: Vec<Duration> = all.flatten().collect();
    all.sort();
    (all[all.len() / 2], all[all.len() * 99 / 100], all.len())
}

#[test]
#[ignore = "measures for half a minute"]
fn a_thousand_that_pipeline_do_not_stop_the_others() {
    raise_descriptor_limit();
    let mut times = Vec::new();
    for peers in [
        Peers::Idle,
        Peers::InTurn,
        Peers::Pipelining(64),
        Peers::Deaf(2000),
    ] {
        let server = Server::start(&[]);
        let crowd = Crowd::start(&server, peers);
        thread::sleep(Duration::from_secs(1));
        let (median, p99, count) = waits(&server);
        let read = crowd.end() >> 20;
        println!(
            "{PEERS} peers {peers:?}: median {median:?}, p99 {p99:?} of {count}; {read} MiB read by the peers"
        );
        times.push(p99);
    }
    let [_idle, in_turn, rest @ ..] = &times[..] else {
        unreachable!("four crowds");
    };
    for p99 in rest {
        assert!(*p99 <= *in_turn * FACTOR, "{p99:?} against {in_turn:?}");
    }
}
