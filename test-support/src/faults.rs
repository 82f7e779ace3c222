//! Runs a program again and again while one of its system calls, or one of libevent's
//! allocations, fails: each call in turn, alone, with all calls of that function that follow in
//! the next moment, and with all that follow until the program ends.
//!
//! `tests/faults.c` is loaded into the program and makes the calls fail. A first run without a
//! fault counts the calls.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::spawn;

/// The longest wait in a run; nothing comes near it.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Runs with a fault for each exchange, unless `FAULT_RUNS` says otherwise.
const RUNS: usize = 24;

/// The same for faults that last a moment, and for those that last until the end.
const LASTING_RUNS: usize = 8;
const ENDLESS_RUNS: usize = 4;

/// How long a fault lasts that is not over with one call.
const LASTING: Duration = Duration::from_millis(150);

/// Milliseconds of a fault that lasts until the end.
const ENDLESS: u128 = u32::MAX as u128;

/// How long a client waits while a fault lasts until the end.
const ENDLESS_PATIENCE: Duration = Duration::from_millis(700);

/// A program that tries more often than this while a fault lasts, tries without a pause.
const TRIES_MAX: u32 = 3000;

/// Runs at a time: most of their time they wait.
const AT_A_TIME: usize = 4;

/// How long a program is watched at rest, and how long it may compute meanwhile.
const REST: Duration = Duration::from_millis(100);
const REST_CPU: Duration = Duration::from_millis(40);

/// The functions of `tests/faults.c`, in its order, and the errors that each is given. -1 is a
/// call that comes short.
const CALLS: [(&str, &[i32]); 25] = {
    const READ: &[i32] = &[
        Errno::EINTR as i32,
        Errno::EAGAIN as i32,
        Errno::ECONNRESET as i32,
        Errno::ENOMEM as i32,
        Errno::EIO as i32,
        -1,
    ];
    const WRITE: &[i32] = &[
        Errno::EINTR as i32,
        Errno::EAGAIN as i32,
        Errno::ECONNRESET as i32,
        Errno::EPIPE as i32,
        Errno::ENOBUFS as i32,
        Errno::EIO as i32,
        -1,
    ];
    const OPEN: &[i32] = &[
        Errno::EMFILE as i32,
        Errno::EACCES as i32,
        Errno::EINTR as i32,
    ];
    const MAKE: &[i32] = &[
        Errno::EMFILE as i32,
        Errno::ENFILE as i32,
        Errno::ENOMEM as i32,
    ];
    [
        (
            "accept4",
            &[
                Errno::EINTR as i32,
                Errno::EAGAIN as i32,
                Errno::ECONNABORTED as i32,
                Errno::EMFILE as i32,
                Errno::ENOMEM as i32,
            ],
        ),
        ("read", READ),
        ("readv", READ),
        ("recv", READ),
        ("recvfrom", READ),
        ("recvmsg", READ),
        ("write", WRITE),
        ("writev", WRITE),
        ("send", WRITE),
        ("sendto", WRITE),
        ("sendmsg", WRITE),
        ("epoll_create1", MAKE),
        ("epoll_ctl", &[Errno::ENOMEM as i32, Errno::ENOSPC as i32]),
        ("epoll_wait", &[Errno::EINTR as i32, Errno::EINVAL as i32]),
        ("fork", &[Errno::EAGAIN as i32, Errno::ENOMEM as i32]),
        ("socket", MAKE),
        ("socketpair", MAKE),
        ("pipe2", MAKE),
        ("eventfd", MAKE),
        (
            "connect",
            &[
                Errno::ECONNREFUSED as i32,
                Errno::EINTR as i32,
                Errno::EADDRNOTAVAIL as i32,
            ],
        ),
        ("open", OPEN),
        ("open64", OPEN),
        ("openat", OPEN),
        ("openat64", OPEN),
        ("allocate", &[Errno::ENOMEM as i32]),
    ]
};

/// One call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    call: &'static str,
    number: u32,
    error: i32,
    lasts: Lasts,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    /// One.
    Once,
    /// That one, and those of the next moment.
    AMoment,
    /// That one, and all after it.
    ToTheEnd,
}

impl Fault {
    fn milliseconds(self) -> u128 {
        match self.lasts {
            Lasts::Once => 0,
            Lasts::AMoment => LASTING.as_millis(),
            Lasts::ToTheEnd => ENDLESS,
        }
    }

    /// Whether a program that gets this error again and again has to pause, and can: after the
    /// others it has to try again at once, or the kernel says that it may.
    fn wants_pause(self) -> bool {
        let shortage = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOSPC];
        self.call != "allocate" && shortage.iter().any(|error| *error as i32 == self.error)
    }
}

/// How an exchange with a program went, when nothing was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program did what it is for.
    Served,
    /// It ended early, with a message.
    GaveUp,
}

/// One run of a program: with a fault, or to count its calls.
pub struct Run {
    folder: TempDir,
    fault: Option<Fault>,
}

impl Run {
    fn new(fault: Option<Fault>) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("counts"), [0; 4096]).unwrap();
        Self { folder, fault }
    }

    /// A path for the program's own use, different in each run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether this run has a fault.
    pub fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    fn lasts(&self) -> Lasts {
        self.fault.map_or(Lasts::Once, |fault| fault.lasts)
    }

    /// Whether the fault lasts until the program ends: then nobody needs to be served.
    pub fn is_endless(&self) -> bool {
        self.lasts() == Lasts::ToTheEnd
    }

    /// Whether allocations fail until the program ends.
    pub fn is_out_of_memory(&self) -> bool {
        self.is_endless() && self.fault.is_some_and(|fault| fault.call == "allocate")
    }

    /// Tries of a client, of which one must succeed when the fault is over. Those after the first
    /// wait a moment where the fault lasts.
    pub fn tries(&self) -> impl Iterator<Item = usize> {
        let (count, pause) = match self.lasts() {
            Lasts::Once => (4, Duration::ZERO),
            Lasts::AMoment => (12, LASTING / 3),
            Lasts::ToTheEnd => (2, LASTING / 3),
        };
        (0..count).inspect(move |attempt| {
            if *attempt > 0 {
                thread::sleep(pause);
            }
        })
    }

    fn patience(&self) -> Duration {
        if self.is_endless() {
            ENDLESS_PATIENCE
        } else {
            PATIENCE
        }
    }

    /// Reads up to the end of a connection, which may be a reset. A read that times out is a hang,
    /// unless the program cannot go on.
    ///
    /// # Errors
    /// When the connection hangs.
    pub fn read_all(&self, mut from: impl Read) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        match from.read_to_end(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !self.is_endless() => {
                Err(format!("a connection hangs after {} bytes", bytes.len()))
            }
            _ => Ok(bytes),
        }
    }

    /// Starts the program.
    pub fn start(&self, mut command: Command) -> Program {
        command
            .env("LD_PRELOAD", library())
            .env("FAULT_COUNTS", self.path("counts"))
            .env("RUST_BACKTRACE", "1")
            .stdin(Stdio::null())
            .stdout(File::create(self.path("stdout")).unwrap())
            .stderr(File::create(self.path("stderr")).unwrap())
            .process_group(0);
        if let Some(fault) = self.fault {
            command
                .env("FAULT_CALL", fault.call)
                .env("FAULT_NUMBER", fault.number.to_string())
                .env("FAULT_ERROR", fault.error.to_string())
                .env("FAULT_FOR", fault.milliseconds().to_string());
        }
        Program {
            child: spawn(&mut command).unwrap(),
            patience: self.patience(),
            // It may try again at once where a fault lasts that wants no pause.
            may_spin: self
                .fault
                .is_some_and(|fault| self.is_endless() && !fault.wants_pause()),
            stdout: self.path("stdout"),
            stderr: self.path("stderr"),
        }
    }

    fn counts(&self) -> Vec<u32> {
        let bytes = fs::read(self.path("counts")).unwrap();
        let number = |part: &[u8]| u32::from_ne_bytes(part.try_into().unwrap());
        bytes.chunks(4).take(CALLS.len() + 1).map(number).collect()
    }

    /// How many calls failed.
    fn injected(&self) -> u32 {
        self.counts()[CALLS.len()]
    }

    /// Checks that the program paused between its tries while the fault lasted.
    fn check_pauses(&self, outcome: Outcome) -> Result<Outcome, String> {
        match self.fault {
            Some(fault)
                if fault.lasts != Lasts::Once
                    && fault.wants_pause()
                    && self.injected() > TRIES_MAX =>
            {
                Err(format!(
                    "it tried {} times without a pause",
                    self.injected()
                ))
            }
            _ => Ok(outcome),
        }
    }
}

/// A program that runs, with its children. All of them are killed when it is dropped.
pub struct Program {
    child: Child,
    patience: Duration, // of its clients
    may_spin: bool,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Program {
    /// Connects to its unix socket once it listens; `None` if it has ended.
    pub fn connect(&mut self, path: &Path) -> Result<Option<UnixStream>, String> {
        let stream = self.until(|_| UnixStream::connect(path).ok())?;
        Ok(stream.inspect(|stream| {
            stream.set_read_timeout(Some(self.patience)).unwrap();
            stream.set_write_timeout(Some(self.patience)).unwrap();
        }))
    }

    /// Tries to connect until that works; `None` if the program has ended.
    fn until<S>(&mut self, connect: impl Fn(&Self) -> Option<S>) -> Result<Option<S>, String> {
        let start = Instant::now();
        loop {
            if let Some(stream) = connect(self) {
                return Ok(Some(stream));
            }
            if self.child.try_wait().unwrap().is_some() {
                return Ok(None);
            }
            if start.elapsed() > PATIENCE {
                return Err("it neither listens nor ends".to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Connects to the address that it logs in a line of its own; `None` if it has ended.
    ///
    /// # Errors
    /// When it does neither.
    pub fn connect_to_logged(&mut self) -> Result<Option<TcpStream>, String> {
        let stream = self.until(|program| {
            let stderr = program.stderr();
            let (whole, _) = stderr.rsplit_once('\n')?;
            let address: SocketAddr = whole.lines().find_map(|line| line.parse().ok())?;
            TcpStream::connect(address).ok()
        })?;
        Ok(stream.inspect(|stream| {
            stream.set_read_timeout(Some(self.patience)).unwrap();
            stream.set_write_timeout(Some(self.patience)).unwrap();
        }))
    }

    /// What it has printed so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stdout).unwrap()).into_owned()
    }

    /// Whether it has logged this text so far.
    pub fn has_logged(&self, text: &str) -> bool {
        self.stderr().contains(text)
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Checks that it waits for something, and does not spin.
    fn check_rest(&mut self) -> Result<(), String> {
        if self.may_spin || self.child.try_wait().unwrap().is_some() {
            return Ok(());
        }
        // What it still has to do may take a moment.
        for _ in 0..5 {
            let before = self.cpu();
            thread::sleep(REST);
            if self.cpu().saturating_sub(before) <= REST_CPU {
                return Ok(());
            }
        }
        Err("it spins".to_owned())
    }

    /// The processor time of its group.
    fn cpu(&self) -> Duration {
        let group = self.child.id().to_string();
        let mut ticks = 0;
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
            let fields: Vec<&str> = fields.map(Iterator::collect).unwrap_or_default();
            // After the name: state, parent, group, …; utime and stime are fields 14 and 15.
            if fields.get(2) == Some(&group.as_str()) {
                ticks += fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
            }
        }
        Duration::from_millis(10) * ticks
    }

    /// Waits for its end; whether it has come.
    pub fn ends_by_itself(&mut self) -> bool {
        self.wait().is_ok()
    }

    /// Asks it to end.
    pub fn terminate(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            kill(
                Pid::from_raw(self.child.id().cast_signed()),
                Signal::SIGTERM,
            )
            .unwrap();
        }
    }

    /// Checks that it rests, asks it to end, and waits for its end, as [`end`](Self::end).
    ///
    /// # Errors
    /// When it spins, or does not end well.
    pub fn rest_and_end(mut self) -> Result<Outcome, String> {
        self.check_rest()?;
        self.terminate();
        self.end()
    }

    /// Waits for its end, and checks that it ended well, or gave up with a message.
    pub fn end(mut self) -> Result<Outcome, String> {
        let status = self.wait()?;
        let stderr = self.stderr();
        if stderr.contains("panicked") {
            return Err("it panicked".to_owned());
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(Outcome::Served),
            (_, Some(signal)) if signal == Signal::SIGTERM as i32 => Ok(Outcome::Served),
            (Some(1), _) => Ok(Outcome::GaveUp), // its message may be what could not be written
            // libevent itself cannot go on without its signals, and says so.
            (_, Some(signal))
                if signal == Signal::SIGABRT as i32
                    && stderr.contains("libevent: fatal error 1: evsig_cb: recv: ") =>
            {
                Ok(Outcome::GaveUp)
            }
            // Where libevent does not check its allocations, the library ends the process.
            (_, Some(signal))
                if signal == Signal::SIGABRT as i32 && stderr.contains("memory allocation of ") =>
            {
                Ok(Outcome::GaveUp)
            }
            _ => Err(format!("it ended with {status}")),
        }
    }

    fn wait(&mut self) -> Result<ExitStatus, String> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Ok(status);
            }
            if start.elapsed() > PATIENCE {
                return Err("it does not end".to_owned());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its workers, too.
        killpg(
            Pid::from_raw(self.child.id().cast_signed()),
            Signal::SIGKILL,
        )
        .ok();
        self.child.wait().ok();
    }
}

/// Sets the limits of a connection in a run.
pub fn limit(stream: &TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
}

/// The library that makes calls fail, compiled once.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (path, _) = LIBRARY.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("faults.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/faults.c");
        let status = Command::new("cc")
            .args([
                "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .args([&path, &source])
            .arg("-ldl")
            .status()
            .expect("cc compiles");
        assert!(status.success(), "{} does not compile", source.display());
        (path, folder)
    });
    path
}

/// Runs an exchange once without a fault, and then with every fault in turn, or with as many as
/// `FAULT_RUNS` says (`all` for all).
///
/// # Panics
/// When a run goes wrong, with all that did.
#[track_caller]
pub fn explore(name: &str, exchange: impl Fn(&Run) -> Result<Outcome, String> + Sync) {
    let choose = |counts: &[u32]| {
        let mut all = chosen(faults(counts, Lasts::Once), RUNS);
        all.extend(chosen(faults(counts, Lasts::AMoment), LASTING_RUNS));
        all.extend(chosen(faults(counts, Lasts::ToTheEnd), ENDLESS_RUNS));
        all
    };
    explore_some(name, choose, exchange);
}

/// The same with the last few calls of one function only.
///
/// # Panics
/// When a run goes wrong, with all that did.
#[track_caller]
pub fn explore_last(
    name: &str,
    call: &str,
    last: usize,
    exchange: impl Fn(&Run) -> Result<Outcome, String> + Sync,
) {
    let choose = |counts: &[u32]| {
        let mut faults = faults(counts, Lasts::Once);
        faults.retain(|fault| fault.call == call);
        let before = faults.len().saturating_sub(last);
        faults.split_off(before)
    };
    explore_some(name, choose, exchange);
}

/// The same with every call of one function that fails with those of the next moment.
///
/// # Panics
/// When a run goes wrong, with all that did.
#[track_caller]
pub fn explore_lasting(
    name: &str,
    call: &str,
    exchange: impl Fn(&Run) -> Result<Outcome, String> + Sync,
) {
    let choose = |counts: &[u32]| {
        let mut faults = faults(counts, Lasts::AMoment);
        faults.retain(|fault| fault.call == call);
        faults
    };
    explore_some(name, choose, exchange);
}

#[track_caller]
fn explore_some(
    name: &str,
    choose: impl Fn(&[u32]) -> Vec<Fault>,
    exchange: impl Fn(&Run) -> Result<Outcome, String> + Sync,
) {
    let dry = Run::new(None);
    let outcome = exchange(&dry);
    assert_eq!(outcome, Ok(Outcome::Served), "{name} without a fault");
    let faults = choose(&dry.counts());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let (injected, gave_up) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let run = Run::new(Some(*fault));
                    let outcome = exchange(&run).and_then(|outcome| run.check_pauses(outcome));
                    injected.fetch_add((run.injected() > 0).into(), Ordering::Relaxed);
                    match outcome {
                        Ok(Outcome::Served) => {}
                        Ok(Outcome::GaveUp) => {
                            let mut gave_up = gave_up.lock().unwrap();
                            *gave_up.entry((fault.call, fault.number)).or_insert(0) += 1;
                        }
                        Err(why) => {
                            let stderr = fs::read(run.path("stderr")).unwrap_or_default();
                            let stderr = String::from_utf8_lossy(&stderr).into_owned();
                            wrong
                                .lock()
                                .unwrap()
                                .push(format!("{fault:?}: {why}\n{stderr}"));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let (injected, gave_up) = (injected.into_inner(), gave_up.into_inner().unwrap());
    println!(
        "{name}: {injected} faults injected in {} runs, {} survived, {} of them by giving up",
        faults.len(),
        injected.saturating_sub(wrong.len()),
        gave_up.values().sum::<usize>(),
    );
    for ((call, number), count) in &gave_up {
        println!("    gave up at {call} number {number} ({count} errors)");
    }
    assert!(injected > 0, "{name}: no fault was injected");
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// Every fault of a run with these numbers of calls.
fn faults(counts: &[u32], lasts: Lasts) -> Vec<Fault> {
    let mut faults = Vec::new();
    for ((call, errors), count) in CALLS.iter().zip(counts) {
        for number in 1..=*count {
            for error in *errors {
                // A kernel gives these once: the next call succeeds, or is made when it can.
                let passes = [Errno::EINTR as i32, Errno::EAGAIN as i32].contains(error);
                if passes && lasts == Lasts::ToTheEnd {
                    continue;
                }
                faults.push(Fault {
                    call,
                    number,
                    error: *error,
                    lasts,
                });
            }
        }
    }
    faults
}

/// As many of the faults as are asked for, or `otherwise`, spread over all of them.
fn chosen(faults: Vec<Fault>, otherwise: usize) -> Vec<Fault> {
    let runs = match std::env::var("FAULT_RUNS") {
        Ok(runs) if runs == "all" => return faults,
        Ok(runs) => runs.parse().expect("FAULT_RUNS is a number or `all`"),
        Err(_) => otherwise,
    };
    let all = faults.len();
    let is_due = |index: &usize| index * runs / all != (index + 1) * runs / all;
    let due = (0..all).filter(is_due);
    due.map(|index| faults[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_faults_are_as_many_as_asked_for_and_spread() {
        let all = faults(&[20; 25], Lasts::Once);
        let some = chosen(all, RUNS);
        assert_eq!(some.len(), RUNS);
        let calls: std::collections::BTreeSet<&str> = some.iter().map(|fault| fault.call).collect();
        assert!(calls.len() > 12, "{calls:?}");
    }
}
