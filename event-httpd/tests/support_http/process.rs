//! Processes under test: started, observed through /proc, and always ended.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{
    Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio,
};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use test_support::spawn;

use super::{Client, LIMIT, until};

/// Clock ticks a second in /proc/PID/stat: Linux shows 100 to user space on every platform.
const TICKS: u32 = 100;

/// `event-httpd` with these arguments, and without the variables of the caller's environment that affect it.
pub(crate) fn event_httpd<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_event-httpd")), arguments)
}

/// `event-httpd` started by a shell that runs `script` first. Arguments can be added.
pub(crate) fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script} exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_event-httpd"));
    clean(command, [])
}

fn clean<'a>(mut command: Command, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EVENT_HTTPD_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        .env("RUST_BACKTRACE", "1") // a panic shall be seen
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Runs a program until it ends by itself, and returns its output.
#[track_caller]
pub(crate) fn output(mut command: Command) -> Output {
    let name = format!("{command:?}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = spawn(&mut command).unwrap_or_else(|error| {
        panic!("{name} does not start: {error}");
    });
    let pid = pid(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait_with_output()));
    let received = receiver.recv_timeout(LIMIT);
    if received.is_err() {
        // Not waited for yet, so the number is still its own.
        signal::kill(pid, Signal::SIGKILL).unwrap();
    }
    waiter.join().unwrap().ok();
    match received {
        Ok(output) => output.unwrap(),
        Err(_) => panic!("{name} does not end by itself"),
    }
}

/// Reads what a process prints, up to `most` bytes or the end.
#[track_caller]
pub(crate) fn printed(stdout: impl Read + Send + 'static, most: usize) -> String {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut printed = Vec::new();
        let result = stdout.take(most as u64).read_to_end(&mut printed);
        sender.send(result.map(|_count| printed)).ok();
    });
    let printed = receiver.recv_timeout(LIMIT).expect("it prints in time");
    String::from_utf8_lossy(&printed.unwrap()).into_owned()
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// A child process, killed when it is dropped.
pub(crate) struct Process(Child);

impl Process {
    #[track_caller]
    pub(crate) fn spawn(mut command: Command) -> Self {
        Self(spawn(&mut command).unwrap_or_else(|error| {
            panic!("{command:?} does not start: {error}");
        }))
    }

    pub(crate) fn id(&self) -> Pid {
        pid(&self.0)
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.0.stdin.take().expect("stdin is piped")
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.0.stdout.take().expect("stdout is piped")
    }

    pub(crate) fn stderr(&mut self) -> ChildStderr {
        self.0.stderr.take().expect("stderr is piped")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(pid(&self.0), signal).expect("the process is there");
    }

    /// Waits for the end, and returns the status.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        until("the end of the process", || self.0.try_wait().unwrap())
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// Processor time used so far, in user and in kernel space.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = self.proc("stat");
        // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
        let ticks: u32 = fields[12].parse::<u32>().unwrap() + fields[13].parse::<u32>().unwrap();
        Duration::from_secs(1) * ticks / TICKS
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0.id()))
            .unwrap()
            .count()
    }

    /// Changes the descriptor limit of the running process.
    #[track_caller]
    pub(crate) fn limit_descriptors(&self, limit: usize) {
        let mut prlimit = Command::new("prlimit"); // of util-linux, as setpriv is
        prlimit.args(["--pid", &self.0.id().to_string()]);
        prlimit.arg(format!("--nofile={limit}:{limit}"));
        let output = output(prlimit);
        assert!(output.status.success(), "{output:?}");
    }

    /// Resident bytes.
    pub(crate) fn memory(&self) -> usize {
        let status = self.proc("status");
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .unwrap();
        let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kilobytes * 1024
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// Parses the text after `listening on`.
    fn parse(text: &str) -> Self {
        match text.strip_prefix("unix:") {
            Some(path) => Self::Unix(path.into()),
            None => Self::Tcp(text.parse().unwrap_or_else(|_| {
                panic!("{text:?} is not an address");
            })),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What a server has written on stderr.
#[derive(Default)]
struct Log {
    text: Mutex<(Vec<String>, bool)>,
    grown: Condvar,
}

impl Log {
    fn collect(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).split(b'\n') {
            let Ok(line) = line else { break };
            self.text
                .lock()
                .unwrap()
                .0
                .push(String::from_utf8_lossy(&line).into_owned());
            self.grown.notify_all();
        }
        self.text.lock().unwrap().1 = true;
        self.grown.notify_all();
    }
}

/// A server that is ready. Dropping it kills it, and asserts that it has not panicked.
pub(crate) struct Server {
    process: Process,
    log: Arc<Log>,
    address: Address,
    collector: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Starts `event-httpd serve` on a free port, or where the options say.
    #[track_caller]
    pub(crate) fn start(options: &[&str]) -> Self {
        let mut arguments = vec!["serve"];
        if !options.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(options);
        Self::run(event_httpd(arguments))
    }

    /// Starts a command that runs `event-httpd`, and waits until it is ready.
    #[track_caller]
    pub(crate) fn run(command: Command) -> Self {
        let mut process = Process::spawn(command);
        let log = Arc::new(Log::default());
        let collector = thread::spawn({
            let (log, stderr) = (Arc::clone(&log), process.stderr());
            move || log.collect(stderr)
        });
        let mut server = Self {
            process,
            log,
            address: Address::Unix(PathBuf::new()),
            collector: Some(collector),
        };
        let ready = server.line("listening on ");
        let address = ready.split_once("listening on ").unwrap().1;
        server.address = Address::parse(address.split([' ', '"']).next().unwrap());
        server
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The port of a server on TCP.
    pub(crate) fn port(&self) -> u16 {
        match &self.address {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => panic!("a unix socket has no port"),
        }
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.has_ended()
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.process.stdout()
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.address).expect("the server accepts")
    }

    /// Sends one request on a new connection, and returns the numbers in the table that answers it.
    #[track_caller]
    pub(crate) fn numbers(&self) -> Vec<u64> {
        let mut client = self.connect();
        client.send(super::LAST);
        let numbers = client.answer().numbers();
        client.expect_close();
        numbers
    }

    /// Waits until the table has `count` entries, including the listener and the asking connection,
    /// and returns their numbers.
    #[track_caller]
    pub(crate) fn until_entries(&self, count: usize) -> Vec<u64> {
        until(&format!("a table of {count} entries"), || {
            Some(self.numbers()).filter(|numbers| numbers.len() == count)
        })
    }

    /// The lines on stderr so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.text.lock().unwrap().0.clone()
    }

    /// Waits for a line on stderr that contains `part`.
    #[track_caller]
    pub(crate) fn line(&self, part: &str) -> String {
        self.lines(part, 1).remove(0)
    }

    /// Waits until `count` lines on stderr contain `part`.
    #[track_caller]
    pub(crate) fn lines(&self, part: &str, count: usize) -> Vec<String> {
        let deadline = Instant::now() + LIMIT;
        let mut text = self.log.text.lock().unwrap();
        loop {
            let found: Vec<String> = text
                .0
                .iter()
                .filter(|line| line.contains(part))
                .cloned()
                .collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if text.1 || left.is_zero() {
                let lines = text.0.join("\n");
                drop(text);
                panic!("{count} lines with {part:?} expected on stderr, which has:\n{lines}");
            }
            text = self.log.grown.wait_timeout(text, left).unwrap().0;
        }
    }

    /// Waits for the end, and returns the status and all of stderr.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.process.end();
        self.collect();
        (status, self.log())
    }

    /// Sends SIGTERM, and waits for the end.
    #[track_caller]
    pub(crate) fn stop(self) -> (ExitStatus, Vec<String>) {
        self.process.signal(Signal::SIGTERM);
        self.end()
    }

    fn collect(&mut self) {
        if let Some(collector) = self.collector.take() {
            collector.join().expect("stderr is collected");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.0.kill().ok();
        self.process.0.wait().ok();
        self.collect();
        let log = self.log().join("\n");
        if thread::panicking() {
            eprintln!("stderr of the server on {}:\n{log}", self.address);
        } else {
            assert!(!log.contains("panicked"), "the server has panicked:\n{log}");
        }
    }
}
