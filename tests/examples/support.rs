//! What the tests of the examples share: an example as a process, and its clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::SockRef;
use test_support::spawn;

/// How long a read or a wait may take before the test fails; nothing comes near it.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// An example that `cargo test` has built.
pub(crate) fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --examples",
        path.display()
    );
    path
}

/// A pipe for a child's output whose reads end after [`LIMIT`].
pub(crate) fn pipe() -> (BufReader<UnixStream>, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(LIMIT)).unwrap();
    (BufReader::new(ours), theirs.into())
}

/// Starts an example, and returns what it prints and its complaints, too.
fn start_piped(
    name: &str,
    arguments: &[&str],
) -> (Guard, BufReader<UnixStream>, BufReader<UnixStream>) {
    let (stdout, child_stdout) = pipe();
    let (stderr, child_stderr) = pipe();
    let mut command = Command::new(binary(name));
    command
        .args(arguments)
        .stdout(child_stdout)
        .stderr(child_stderr);
    (Guard(spawn(&mut command).unwrap()), stdout, stderr)
}

/// A process that ends with the test, however that ends.
pub(crate) struct Guard(pub(crate) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.kill().ok(); // it may have ended by itself
        self.0.wait().ok();
    }
}

/// A server among the examples, listening on a port of its own.
pub(crate) struct Server {
    pub(crate) process: Guard,
    pub(crate) address: String,
    pub(crate) stdout: BufReader<UnixStream>,
    _stderr: BufReader<UnixStream>, // open, so that it can complain
}

impl Server {
    pub(crate) fn start(name: &str) -> Self {
        Self::start_with(name, &["tcp://127.0.0.1:0"])
    }

    pub(crate) fn start_with(name: &str, arguments: &[&str]) -> Self {
        let (process, stdout, mut stderr) = start_piped(name, arguments);
        let mut address = String::new();
        stderr.read_line(&mut address).unwrap();
        Self {
            process,
            address: address.trim_end().to_owned(),
            stdout,
            _stderr: stderr,
        }
    }

    /// The next line that it prints.
    #[cfg(feature = "openssl")]
    pub(crate) fn printed_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Asks it to end, and waits until it has ended well.
    pub(crate) fn end(&mut self) {
        let pid = Pid::from_raw(self.process.0.id().cast_signed());
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(self.process.0.wait().unwrap().success());
    }

    pub(crate) fn connect(&self) -> Client {
        let socket = TcpStream::connect(&self.address).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Client(socket)
    }

    /// Whether the process comes to have nothing to do. A loop in which some event is always
    /// ready never sleeps.
    pub(crate) fn falls_asleep(&self) -> bool {
        comes_true(|| {
            let stat = fs::read_to_string(self.proc("stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('S')
        })
    }

    /// Whether the process comes to have this many descriptors. That is all which a client
    /// can see of what the server did when a connection was reset.
    pub(crate) fn comes_to_hold(&self, descriptors: usize) -> bool {
        comes_true(|| self.descriptors() == descriptors)
    }

    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    pub(crate) fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.0.id())
    }
}

/// Looks until something is so, which the system reports to nobody. False after [`LIMIT`].
pub(crate) fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if condition() {
            return true;
        }
        thread::yield_now();
    }
    false
}

pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Reads as many bytes as are expected, and no more.
    pub(crate) fn expect(&mut self, expected: &str) {
        assert_eq!(self.read_like(expected), expected);
    }

    /// Reads an answer of whatever length it says.
    pub(crate) fn expect_any_answer(&mut self) {
        let mut reader = BufReader::new(&self.0);
        let mut line = String::new();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if let Some(number) = line.strip_prefix("Content-Length:") {
                length = number.trim_end().parse().unwrap();
            }
        }
        reader.read_exact(&mut vec![0; length]).unwrap();
    }

    pub(crate) fn read_like(&mut self, expected: &str) -> String {
        let mut bytes = vec![0; expected.len()];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Stops sending. What still comes until the server has removed this client and closed.
    pub(crate) fn leave(mut self) -> String {
        self.0.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Breaks the connection off, so that the server's next read fails.
    pub(crate) fn reset(self) {
        SockRef::from(&self.0)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
}

/// A client program that is spoken with while it runs.
pub(crate) struct Program {
    process: Guard,
    stdin: ChildStdin,
    stdout: BufReader<UnixStream>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let (stdout, child_stdout) = pipe();
        let mut process = Guard(spawn(command.stdin(Stdio::piped()).stdout(child_stdout)).unwrap());
        // A `Command` keeps its ends of the pipes: give them back, or the reading never ends.
        command.stdout(Stdio::null());
        let stdin = process.0.stdin.take().unwrap();
        Self {
            process,
            stdin,
            stdout,
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
    }

    /// Reads as many bytes as are expected, and no more.
    pub(crate) fn expect(&mut self, expected: &str) {
        let mut bytes = vec![0; expected.len()];
        self.stdout.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    /// Ends its input; what it still prints, before it ends well.
    pub(crate) fn leave(self) -> String {
        let Self {
            mut process,
            stdin,
            mut stdout,
        } = self;
        drop(stdin);
        let mut printed = String::new();
        stdout.read_to_string(&mut printed).unwrap();
        assert!(process.0.wait().unwrap().success());
        printed
    }
}

/// What a client program prints when it is given `input`; it must end well.
pub(crate) fn talk(client: &mut Command, input: &[u8]) -> String {
    let mut program = Program::start(client);
    program.say(input);
    program.leave()
}

/// What an example that ends by itself prints.
pub(crate) fn printed(name: &str, arguments: &[&str]) -> String {
    let (success, printed, errors) = outcome(name, arguments);
    assert_eq!(errors, "");
    assert!(success);
    printed
}

/// Whether an example that ends by itself ends well, what it prints, and its complaints.
pub(crate) fn outcome(name: &str, arguments: &[&str]) -> (bool, String, String) {
    let (mut process, mut stdout, mut stderr) = start_piped(name, arguments);
    let (mut printed, mut errors) = (String::new(), String::new());
    stdout.read_to_string(&mut printed).unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    (process.0.wait().unwrap().success(), printed, errors)
}

/// `nc` to a server.
pub(crate) fn nc(server: &Server) -> Command {
    let (host, port) = server.address.rsplit_once(':').unwrap();
    let mut nc = Command::new("nc");
    nc.args(["-N", host, port]);
    nc
}

/// Bytes that do not repeat soon.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::repeat_with(|| random.u8(..))
        .take(length)
        .collect()
}
