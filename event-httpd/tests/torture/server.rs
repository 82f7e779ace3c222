//! The server under torture: its process group, what its log says, and what the system shows.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;
use test_support::spawn;

pub(crate) const WORKERS: usize = 4;

/// How long a stopping worker has; the server is told so.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// The server's `--max-queue`.
pub(crate) const MAX_QUEUE: u64 = 1 << 20;

/// How many lines of the log are kept for the report of a violation.
const TAIL: usize = 120;

/// A moment in the order in which the test saw and did things; no two are the same.
pub(crate) type Step = u64;

pub(crate) fn step() -> Step {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A worker process, from first sight to its end.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) pid: i32,
    started: u64,                    // when, as the system counts
    pub(crate) proven: bool,         // it has answered a client, so the master has heard of it
    pub(crate) harmed: Option<Step>, // the first signal of ours that could end it
    pub(crate) frozen: Option<Step>, // it stood still from before this to its end
    hung: Option<Step>,              // the master said that it kills it
    leaving: Option<(Step, f64)>,    // the master said that it is replaced
    dismissed: Option<Instant>,      // it was told to end, by us
    pub(crate) ended: Option<Ended>,
}

#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) step: Step, // at which the test knew
    clean: bool,           // it was told to, and had its time
}

impl Worker {
    /// Whether all that it took was passed on: it lives, or has left in peace.
    pub(crate) fn kept_its_word(&self) -> bool {
        self.ended.as_ref().is_none_or(|ended| ended.clean)
    }

    /// When something first happened that could end it.
    pub(crate) fn doomed(&self) -> Option<Step> {
        let leaving = self.leaving.map(|(step, _)| step);
        [self.harmed, self.hung, leaving]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn is_steady(&self) -> bool {
        self.ended.is_none()
            && self.frozen.is_none()
            && self.leaving.is_none()
            && self.dismissed.is_none()
    }
}

/// Who has the server's end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Nobody: it waits to be accepted.
    Queue,
    /// The worker with that number among [`Server::workers`].
    Worker(usize),
}

/// A process of the server's group.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) state: char,
    pub(crate) name: String,
    started: u64,
}

pub(crate) struct Server {
    master: Child,
    pub(crate) address: SocketAddr,
    log: Option<ChildStderr>, // until all who could write to it have ended
    unread: Vec<u8>,
    tail: VecDeque<String>,
    pub(crate) workers: Vec<Worker>,
    by_pid: BTreeMap<i32, usize>,
    pub(crate) cut_off: Vec<(u16, u64)>, // ports of peers that lagged, and the bytes that waited
    pub(crate) faults: Vec<String>,
    pub(crate) reloads: u64,
    pub(crate) replaced: u64, // workers told to leave
    pub(crate) hung: u64,
    pub(crate) hung_by_itself: u64, // that nobody had stopped
    pub(crate) passed_on: u64,
}

impl Server {
    pub(crate) fn start() -> Self {
        setrlimit(Resource::RLIMIT_CORE, 0, 0).unwrap(); // the children's: they die by the dozen
        let mut command = Command::new(env!("CARGO_BIN_EXE_event-httpd"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVENT_HTTPD_") {
                command.env_remove(name);
            }
        }
        command
            .args(["broadcast", "--framing", "http", "--listen", "127.0.0.1:0"])
            .args(["--workers", &WORKERS.to_string()])
            .args(["--bus-timeout", "1s", "--log-format", "json"])
            .args(["--grace", &format!("{}s", GRACE.as_secs())])
            .args(["--max-queue", &MAX_QUEUE.to_string()])
            .args(["--max-queue-total", "8GiB"]) // one reader's lag is no other's
            .args(["--idle-timeout", "1d", "--header-timeout", "1d"]) // no end by a deadline
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut master = spawn(&mut command).unwrap();
        let log = master.stderr.take().unwrap();
        fcntl(&log, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        let mut server = Self {
            master,
            address: ([127, 0, 0, 1], 0).into(),
            log: Some(log),
            unread: Vec::new(),
            tail: VecDeque::new(),
            workers: Vec::new(),
            by_pid: BTreeMap::new(),
            cut_off: Vec::new(),
            faults: Vec::new(),
            reloads: 0,
            replaced: 0,
            hung: 0,
            hung_by_itself: 0,
            passed_on: 0,
        };
        let until = Instant::now() + Duration::from_secs(60);
        while server.address.port() == 0 {
            assert!(
                Instant::now() < until,
                "the server is not ready: {:?}",
                server.tail
            );
            thread::sleep(Duration::from_millis(5));
            server.read_log();
        }
        server
    }

    pub(crate) fn log(&self) -> Option<BorrowedFd<'_>> {
        self.log.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn tail(&self) -> impl Iterator<Item = &String> {
        self.tail.iter()
    }

    /// Takes in what the log has to say by now. What a server does, it has logged before.
    pub(crate) fn read_log(&mut self) {
        let mut buffer = [0; 64 << 10];
        while let Some(log) = &mut self.log {
            match log.read(&mut buffer) {
                Ok(0) => self.log = None,
                Ok(n) => self.unread.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("the log: {error}"),
            }
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                self.heed(String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    fn heed(&mut self, line: &str) {
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        let Ok(entry) = serde_json::from_str::<Value>(line) else {
            return self
                .faults
                .push(format!("the log has what is no entry: {line}"));
        };
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let number = |name: &str| entry[name].as_u64().unwrap_or_default();
        let message = text("message");
        let words = message.split([' ', ')']).collect::<Vec<_>>();
        let at = clock(text("timestamp"));
        if text("level") == "ERROR" {
            self.faults
                .push(format!("the server logged an error: {line}"));
        }
        match words[..] {
            ["listening", "on", address] => self.address = address.parse().unwrap(),
            ["replacing", ..] => self.reloads += 1,
            ["worker", _, "process", _, "takes", "over", "from", former] => {
                self.replaced += 1;
                let worker = self.worker_with(former.parse().unwrap());
                worker.leaving.get_or_insert((step(), at));
            }
            ["process", pid, "has", "not", "answered", ..] => {
                self.hung += 1;
                let worker = self.worker_with(pid.parse().unwrap());
                let by_itself = worker.harmed.is_none();
                worker.hung.get_or_insert_with(step);
                self.hung_by_itself += u64::from(by_itself);
            }
            ["worker", _, "(process", pid, "", "ended:", ..] => {
                let how = message.rsplit("ended: ").next().unwrap_or_default();
                self.ended(pid.parse().unwrap(), how, at);
            }
            ["cut", "off:", ..] => {
                let port = text("peer").rsplit(':').next().map(str::parse);
                let waiting = number("waiting");
                if let Some(Ok(port)) = port {
                    self.cut_off.push((port, waiting));
                }
                if waiting <= MAX_QUEUE {
                    self.faults.push(format!(
                        "a reader was cut off that did not lag so far: {line}"
                    ));
                }
            }
            ["counters"] if number("panics") + number("refusals") + number("pauses") > 0 => {
                self.faults
                    .push(format!("the counters tell of trouble: {line}"));
            }
            ["counters", "of", ..] => self.passed_on = number("passed_on"),
            _ => {}
        }
    }

    fn ended(&mut self, pid: i32, how: &str, at: f64) {
        if self.worker_with(pid).ended.is_some() {
            self.by_pid.remove(&pid); // another one with the same number, which was never seen
        }
        let worker = self.worker_with(pid);
        let had_time = match (worker.leaving, worker.dismissed) {
            (Some((_, since)), _) => (at - since).rem_euclid(86_400.0) < GRACE.as_secs_f64(),
            (None, Some(since)) => since.elapsed() < GRACE,
            (None, None) => false,
        };
        let clean = had_time && how == "exit code 0";
        let by_itself = worker.doomed().is_none();
        worker.ended = Some(Ended {
            step: step(),
            clean,
        });
        if by_itself {
            self.faults
                .push(format!("process {pid} ended by itself: {how}"));
        }
    }

    fn worker_with(&mut self, pid: i32) -> &mut Worker {
        let index = *self.by_pid.entry(pid).or_insert_with(|| {
            self.workers.push(Worker {
                pid,
                ..Worker::default()
            });
            self.workers.len() - 1
        });
        &mut self.workers[index]
    }

    pub(crate) fn master(&self) -> i32 {
        self.master.id().try_into().unwrap()
    }

    /// The processes of the server's group, the dead that nobody has reaped included.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let group = self.master().to_string();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            if let Some(process) = process(pid, &group) {
                found.push(process);
            }
        }
        found
    }

    /// The workers that are there, by their numbers, with what the system shows of each.
    pub(crate) fn look(&mut self) -> Vec<(usize, Process)> {
        let (before, master) = (step(), self.master());
        let mut processes = self.processes();
        processes.retain(|process| process.pid != master);
        self.read_log();
        let mut found = Vec::new();
        for process in processes {
            match &self.worker_with(process.pid).ended {
                Some(ended) if ended.step > before => continue, // it was there a moment ago
                Some(_) => drop(self.by_pid.remove(&process.pid)), // another with its number
                None => {}
            }
            self.worker_with(process.pid).started = process.started;
            found.push((self.by_pid[&process.pid], process));
        }
        found
    }

    /// Who has the server's end of each connection, by the client's port.
    pub(crate) fn owners(&mut self) -> HashMap<u16, Owner> {
        let local = format!(":{:04X}", self.address.port());
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let mut holders = HashMap::new();
        for (index, process) in self.look() {
            for descriptor in descriptors(process.pid) {
                holders.insert(descriptor, index);
            }
        }
        let mut owners = HashMap::new();
        for line in table.lines() {
            let columns = line.split_ascii_whitespace().collect::<Vec<_>>();
            let [_, from, to, state, _, _, _, _, _, inode, ..] = columns[..] else {
                continue;
            };
            // Established, or closed by the peer alone: not one that the server has closed.
            if !from.ends_with(&local) || !matches!(state, "01" | "08") {
                continue;
            }
            let port = to.rsplit(':').next().unwrap();
            let port = u16::from_str_radix(port, 16).unwrap();
            if inode == "0" {
                owners.insert(port, Owner::Queue);
            } else if let Some(index) = holders.get(&format!("socket:[{inode}]")) {
                owners.insert(port, Owner::Worker(*index));
            }
        }
        owners
    }

    /// Sends a signal that may end the worker, or lead to its end.
    pub(crate) fn harm(&mut self, index: usize, signal: Signal) {
        self.workers[index].harmed.get_or_insert_with(step);
        self.send(index, signal);
    }

    /// Tells a worker to end in peace; the master does not know.
    pub(crate) fn dismiss(&mut self, index: usize) {
        self.workers[index].dismissed.get_or_insert(Instant::now());
        self.harm(index, Signal::SIGTERM);
    }

    fn send(&self, index: usize, signal: Signal) {
        let worker = &self.workers[index];
        let there = process(worker.pid, &self.master().to_string());
        // Its number may have gone to another by now.
        if there.is_some_and(|process| process.started == worker.started) {
            kill(Pid::from_raw(worker.pid), signal).ok(); // it ended just now
        }
    }

    /// Stops a worker and sees it stand still, so that from then on it accepts nothing.
    pub(crate) fn freeze(&mut self, index: usize) {
        self.harm(index, Signal::SIGSTOP);
        let (pid, group) = (self.workers[index].pid, self.master().to_string());
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            match process(pid, &group).map(|process| process.state) {
                Some('T') => {
                    self.workers[index].frozen = Some(step());
                    return;
                }
                Some('Z') | None => return,
                Some(_) => thread::sleep(Duration::from_micros(200)),
            }
        }
    }

    /// Has a stopped worker go on.
    pub(crate) fn thaw(&mut self, index: usize) {
        self.workers[index].frozen = None;
        self.send(index, Signal::SIGCONT);
    }

    pub(crate) fn tell_master(&self, signal: Signal) {
        kill(Pid::from_raw(self.master()), signal).unwrap();
    }

    /// The master's end, if it has ended.
    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        self.master.try_wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // All of this has happened already unless the test failed.
        killpg(Pid::from_raw(self.master()), Signal::SIGKILL).ok();
        self.master.wait().ok();
    }
}

fn process(pid: i32, group: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(") ")?;
    let fields = rest.split(' ').collect::<Vec<_>>();
    if *fields.get(2)? != group {
        return None;
    }
    Some(Process {
        pid,
        state: rest.chars().next()?,
        name: name.to_owned(),
        started: fields.get(19)?.parse().ok()?,
    })
}

/// What the descriptors of a process are; empty when it has ended.
pub(crate) fn descriptors(pid: i32) -> Vec<String> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let links = entries
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok());
    links
        .map(|link| link.to_string_lossy().into_owned())
        .collect()
}

/// Memory in use, in KiB; `None` when the process has ended.
pub(crate) fn memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The seconds of its day that a timestamp of the log names.
fn clock(timestamp: &str) -> f64 {
    let time = timestamp.split_once('T').map_or("", |(_, time)| time);
    time.trim_end_matches('Z')
        .split(':')
        .filter_map(|part| part.parse::<f64>().ok())
        .fold(0.0, |sum, part| sum * 60.0 + part)
}
