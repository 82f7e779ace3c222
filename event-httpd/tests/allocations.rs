//! A request on an open connection and a delivery allocate nothing once the server is warm.
//!
//! The test runs the server in a process of its own: this program again, whose arguments are then
//! the server's. Its allocator counts what the thread of the event loop allocates. The process
//! prints that number for each byte on its standard input.

#![allow(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use event_httpd::Cli;
use test_support::spawn;

const LIMIT: Duration = Duration::from_secs(60);

static COUNT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// The system's allocator, which counts the calls of one thread.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    if COUNTED.try_with(Cell::get).unwrap_or(false) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to `System` with the caller's arguments, and counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps the contract of this function, which is that of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from `System`, through `alloc` or `realloc` with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: `block` came from `System`, through `alloc` or `realloc` with this layout.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// The server's process. It ends when this is dropped.
struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(arguments)
            .arg(format!("--listen=unix:{}", socket.display()))
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command).unwrap();
        Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            socket,
            _folder: folder,
        }
    }

    /// What the event loop has allocated until now.
    fn allocations(&mut self) -> u64 {
        self.questions.write_all(b"?").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim().parse().unwrap()
    }

    fn connect(&self) -> UnixStream {
        connect(&self.socket)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill(); // a test may have failed
        let _ = self.child.wait();
    }
}

fn connect(socket: &Path) -> UnixStream {
    let start = Instant::now();
    loop {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT)).unwrap();
                return stream;
            }
            Err(error) => assert!(start.elapsed() < LIMIT, "no server: {error}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Reads until `text` has arrived `times` times.
fn read_times(stream: &mut UnixStream, text: &str, times: usize) {
    let mut got = String::new();
    let mut buffer = [0; 1 << 16];
    while got.matches(text).count() < times {
        let n = stream.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "closed after {got}");
        got.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
}

/// Sends these requests, each time so many at once, and reads the answers.
fn ask(stream: &mut UnixStream, rounds: usize, at_once: usize, request: &dyn Fn() -> String) {
    for _ in 0..rounds {
        stream
            .write_all(request().repeat(at_once).as_bytes())
            .unwrap();
        read_times(stream, "null}}", at_once);
    }
}

fn a_request_on_a_warm_connection_allocates_nothing() {
    let paths = Cell::new(0); // one that comes twice is kept
    let same = || "GET / HTTP/1.1\r\nHost: localhost:9999\r\n\r\n".to_owned();
    let new = || {
        let path = paths.replace(paths.get() + 1);
        format!("GET /{path:06} HTTP/1.1\r\nHost: localhost:9999\r\n\r\n")
    };
    let mut server = Server::start(&["serve"]);
    let mut peer = server.connect();
    let mut measure = |what, at_once, request: &dyn Fn() -> String| {
        ask(&mut peer, 20, at_once, request);
        let before = server.allocations();
        ask(&mut peer, 500, at_once, request);
        assert_eq!(server.allocations() - before, 0, "{what}");
    };
    measure("the same head", 1, &same);
    measure("heads that were not seen before", 1, &new);
    measure("the same head, 16 at once", 16, &same);
    let mut late = server.connect();
    ask(&mut late, 1, 1, &same);
    assert_ne!(server.allocations(), 0, "the connections were counted");
}

/// What `rounds` messages of one sender to that many receivers allocate.
fn messages(receivers: usize, rounds: usize) -> u64 {
    let mut server = Server::start(&["broadcast"]);
    let mut receiving: Vec<_> = (0..receivers).map(|_| server.connect()).collect();
    let mut sender = server.connect();
    let mut send = |rounds| {
        for _ in 0..rounds {
            sender.write_all(b"<message>").unwrap();
            for receiver in &mut receiving {
                read_times(receiver, "<message>", 1);
            }
        }
    };
    send(20);
    let before = server.allocations();
    send(rounds);
    server.allocations() - before
}

fn a_message_allocates_the_same_for_few_receivers_as_for_many() {
    let rounds = 100;
    let few = messages(2, rounds);
    let many = messages(50, rounds);
    assert_ne!(few, 0, "a message itself is allocated");
    assert_eq!(few, many);
}

const TESTS: [(&str, fn()); 2] = [
    (
        "a_request_on_a_warm_connection_allocates_nothing",
        a_request_on_a_warm_connection_allocates_nothing,
    ),
    (
        "a_message_allocates_the_same_for_few_receivers_as_for_many",
        a_message_allocates_the_same_for_few_receivers_as_for_many,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let first = arguments.first().map_or("", String::as_str);
    if matches!(first, "serve" | "broadcast") {
        return serve();
    }
    let list = arguments.iter().any(|argument| argument == "--list");
    for (name, test) in TESTS {
        if list {
            println!("{name}: test");
        } else if first.starts_with('-') || name.contains(first) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

/// Runs the server, and prints what it allocates when asked. Ends with the standard input.
fn serve() -> ExitCode {
    thread::spawn(|| {
        for question in BufReader::new(std::io::stdin()).bytes() {
            question.unwrap();
            println!("{}", COUNT.load(Ordering::Relaxed));
        }
        std::process::exit(0);
    });
    let command = Cli::from_process().expect("the test's own arguments");
    COUNTED.set(true);
    match event_httpd::run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
