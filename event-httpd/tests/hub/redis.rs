//! A `redis-server` of a test's own, and a link to it that can be cut.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::support_http::{LIMIT, Process, until};

/// Options that keep nothing on disk.
pub(crate) const FLEETING: [&str; 4] = ["--save", "", "--appendonly", "no"];

/// Options that keep everything for the server that is started again after one was killed. No `fsync`,
/// which only a machine that fails needs: a slow disk would stop the server for a second or more.
pub(crate) const LASTING: [&str; 6] = ["--save", "", "--appendonly", "yes", "--appendfsync", "no"];

/// A server on a unix socket.
pub(crate) struct Redis {
    process: Option<Process>,
    options: Vec<String>,
    directory: TempDir,
}

impl Redis {
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut redis = Self::stopped(options);
        redis.restart();
        redis
    }

    /// A server that does not run yet.
    pub(crate) fn stopped(options: &[&str]) -> Self {
        Self {
            process: None,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// A server that keeps nothing on disk.
    #[track_caller]
    pub(crate) fn fleeting() -> Self {
        Self::start(&FLEETING)
    }

    /// Starts the server, with what it has on disk, and waits until it answers.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(self.socket());
        command.arg("--dir").arg(self.directory.path());
        command.args(&self.options);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(Process::spawn(command));
        until("redis-server answers", || {
            let answer = self.try_ask("PING")?;
            (answer.starts_with("+PONG") || answer.starts_with("-NOAUTH")).then_some(())
        });
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    /// The value of `--store`.
    pub(crate) fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::SIGKILL);
        process.end();
    }

    /// Stops the server as `kill -STOP` does, until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        self.process.as_ref().unwrap().signal(Signal::SIGSTOP);
    }

    pub(crate) fn resume(&self) {
        self.process.as_ref().unwrap().signal(Signal::SIGCONT);
    }

    /// Sends a command, and returns what comes back in one read.
    #[track_caller]
    pub(crate) fn ask(&self, command: &str) -> String {
        self.try_ask(command).expect("an answer of redis-server")
    }

    fn try_ask(&self, command: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.socket()).ok()?;
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.write_all(format!("{command}\r\n").as_bytes()).ok()?;
        let mut answer = vec![0; 64 << 10];
        let count = socket.read(&mut answer).ok().filter(|count| *count > 0)?;
        answer.truncate(count);
        Some(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// What a link does with bytes and connections.
const OPEN: u8 = 0;
const CUT: u8 = 1;
const STALLED: u8 = 2;
const DEAF: u8 = 3;

/// A TCP port that leads to a server.
pub(crate) struct Link {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

struct Shared {
    mode: AtomicU8,
    /// Replies are held back on connections that have carried this command.
    held: Mutex<Option<&'static str>>,
    ended: AtomicBool,
    socket: PathBuf,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    pub(crate) fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            mode: AtomicU8::new(OPEN),
            held: Mutex::default(),
            ended: AtomicBool::new(false),
            socket: redis.socket(),
            open: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                accepting.accept(client.unwrap());
            }
        });
        Self { port, shared }
    }

    /// The value of `--store`.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends all connections, and accepts none that stays.
    pub(crate) fn cut(&self) {
        self.shared.mode.store(CUT, Ordering::SeqCst);
        for client in self.shared.open.lock().unwrap().drain(..) {
            client.shutdown(Shutdown::Both).ok();
        }
    }

    /// Passes nothing on, and keeps connections.
    pub(crate) fn stall(&self) {
        self.shared.mode.store(STALLED, Ordering::SeqCst);
    }

    /// Passes commands on, and drops the replies.
    pub(crate) fn drop_replies(&self) {
        self.shared.mode.store(DEAF, Ordering::SeqCst);
    }

    /// Holds back the replies on each connection that carries this command from now on, beginning
    /// with the reply to it.
    pub(crate) fn hold_replies_to(&self, command: &'static str) {
        *self.shared.held.lock().unwrap() = Some(command);
    }

    pub(crate) fn mend(&self) {
        *self.shared.held.lock().unwrap() = None;
        self.shared.mode.store(OPEN, Ordering::SeqCst);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut();
        self.shared.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        if self.mode.load(Ordering::SeqCst) == CUT {
            return;
        }
        let Ok(server) = UnixStream::connect(&self.socket) else {
            return; // it does not run
        };
        self.open.lock().unwrap().push(client.try_clone().unwrap());
        let back = (server.try_clone().unwrap(), client.try_clone().unwrap());
        let (out, end) = (Arc::clone(self), client.try_clone().unwrap());
        let is_held = Arc::new(AtomicBool::new(false));
        let holds = Arc::clone(&is_held);
        thread::spawn(move || {
            out.pass(client, &server, Direction::ToServer, &holds);
            server.shutdown(Shutdown::Both).ok();
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            shared.pass(back.0, back.1, Direction::ToClient, &is_held);
            end.shutdown(Shutdown::Both).ok();
        });
    }

    fn pass(
        &self,
        mut from: impl Read,
        mut to: impl Write,
        direction: Direction,
        is_held: &AtomicBool,
    ) {
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut bytes) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let held = *self.held.lock().unwrap();
            if direction == Direction::ToServer
                && held.is_some_and(|command| carries(&bytes[..count], command))
            {
                is_held.store(true, Ordering::SeqCst);
            }
            let waits = || match direction {
                _ if self.mode.load(Ordering::SeqCst) == STALLED => true,
                Direction::ToClient => {
                    is_held.load(Ordering::SeqCst) && self.held.lock().unwrap().is_some()
                }
                Direction::ToServer => false,
            };
            while waits() {
                thread::sleep(Duration::from_millis(2));
            }
            let mode = self.mode.load(Ordering::SeqCst);
            if mode == DEAF && direction == Direction::ToClient {
                continue;
            }
            if mode == CUT || to.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    }
}

fn carries(bytes: &[u8], command: &str) -> bool {
    let mut windows = bytes.windows(command.len());
    windows.any(|window| window == command.as_bytes())
}
