//! The tutorial's third program: forked processes share no variables.
//!
//! Owns: `m::ARR`, of which each process has its own; in the parent, the base, its signal events,
//! and the pids of the children that are not reaped yet.
//!
//! The parent reads from top to bottom, like the PHP program. Where that blocks, in `pcntl_wait`,
//! `sleep` and an `echo` that nobody reads, the event loop runs one turn at a time until the result
//! is there, so SIGTERM and SIGINT work everywhere. After one of them nothing more is printed: the
//! children are told to end, and reaped.
//!
//! A standard output that fails ends the program with exit code 1. One that was closed before the
//! start is `/dev/null` to a Rust program, and fails nothing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Duration;
use std::{ffi, process, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::config::Isolation;
use crate::error::ServerError;
use crate::signals;
use php_event::process::{Exit, Fork, Pid, Wait, Waited, fork, getpid, kill, signal_name, wait};
use php_event::{Event, EventBase};

/// How long children may take to end after SIGTERM, before SIGKILL. Only a child that was started
/// with SIGTERM ignored, or is stopped, needs any time.
const GRACE: Duration = Duration::from_secs(1);

/// The shortest sleep of a child, unless the longest is shorter.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// PHP's class `M`.
mod m {
    use std::cell::RefCell;

    thread_local! {
        pub(super) static ARR: RefCell<Vec<super::Pid>> = RefCell::default();
    }
}

/// Forks the children, reaps each, and prints the parent's variable, which stays empty.
pub(crate) fn run(settings: Isolation) -> Result<(), ServerError> {
    let mut parent = Parent::new()?;
    let ended = match parent.run(settings) {
        Ok(()) => Ok(()),
        Err(End::Signal(signum)) => {
            let (name, children) = (signal_name(signum), parent.children.len());
            tracing::info!(children, "{name}: ending the children");
            parent.end_children().map_err(ServerError::from)
        }
        Err(End::Failed(failure)) => {
            if let Err(error) = parent.end_children() {
                tracing::error!("children may still be running: {error}");
            }
            Err(failure)
        }
    };
    signals::block(); // one that comes now would end the process before its log is written
    ended
}

/// Why the parent ends before its children have.
enum End {
    /// This signal asked it to end.
    Signal(ffi::c_int),
    /// It failed.
    Failed(ServerError),
}

impl<F: Into<ServerError>> From<F> for End {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

struct Parent {
    base: EventBase,
    ended_by: Rc<Cell<Option<ffi::c_int>>>, // the signal that asked for the end
    timer: Event,
    writable: Event,
    _signals: [Event; 3],
    children: BTreeSet<Pid>,
}

impl Parent {
    /// Makes the events before the first fork: a process that was started with SIGCHLD ignored
    /// would not learn of its children, and SIGTERM must not wait until all are forked.
    fn new() -> Result<Self, ServerError> {
        let base = EventBase::new()?;
        let ended_by = Rc::new(Cell::new(None));
        let ends = |signum| {
            let ended_by = Rc::clone(&ended_by);
            Event::signal(&base, signum, move |signum, _event| {
                ended_by.set(Some(signum))
            })
        };
        let signals = [
            Event::signal(&base, libc::SIGCHLD, |_signum, _event| {})?, // ends the turn
            ends(libc::SIGTERM)?,
            ends(libc::SIGINT)?,
        ];
        signals.iter().try_for_each(|signal| signal.add(None))?;
        Ok(Self {
            timer: Event::timer(&base, |_event| {})?,
            writable: Event::new(&base, io::stdout(), Event::WRITE, |_, _, _| {})?,
            base,
            ended_by,
            _signals: signals,
            children: BTreeSet::new(),
        })
    }

    fn run(&mut self, settings: Isolation) -> Result<(), End> {
        self.fork_children(settings)?;
        while let Some((pid, exit)) = self.wait()? {
            self.print(&format!("child process exit~ pid = {pid} \n"))?;
            if exit != Exit::Code(0) {
                tracing::warn!(pid, "a child ended with {exit}");
            }
            self.sleep(settings.interval())?;
            let arr = m::ARR.with_borrow(|arr| print_r(arr));
            self.print(&arr)?;
        }
        Ok(())
    }

    fn fork_children(&mut self, settings: Isolation) -> Result<(), End> {
        let (parent, wanted) = (getpid(), settings.children());
        for started in 0..wanted {
            // Before the fork: children that copied the generator would all draw the same time.
            let time = random_sleep(settings.max_sleep());
            match fork() {
                Ok(Fork::Child) => child(parent, time),
                Ok(Fork::Parent(pid)) => self.children.insert(pid),
                Err(cause) => return Err(fork_failure(started, wanted, cause).into()),
            };
            self.base.r#loop(EventBase::LOOP_NONBLOCK)?;
            self.check_signal()?;
        }
        Ok(())
    }

    /// `pcntl_wait`: the next child that ends; `None` when none is left.
    fn wait(&mut self) -> Result<Option<(Pid, Exit)>, End> {
        self.until(|this| {
            let ended = this.reap()?;
            let done = ended.is_some() || this.children.is_empty();
            Ok(done.then_some(ended))
        })
    }

    /// `sleep`.
    fn sleep(&mut self, time: Duration) -> Result<(), End> {
        self.timer.add(Some(time))?;
        self.until(|this| Ok((!this.timer.is_pending()).then_some(())))
    }

    /// `echo`.
    fn print(&mut self, text: &str) -> Result<(), End> {
        self.until(|this| {
            if stdout_has_room() {
                return Ok(Some(()));
            }
            this.writable.add(None)?;
            Ok(None)
        })?;
        write(text).map_err(|error| ServerError::Output(error).into())
    }

    /// Runs the loop until `ready` has a result, or a signal asks for the end.
    fn until<T>(
        &mut self,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>, ServerError>,
    ) -> Result<T, End> {
        loop {
            self.check_signal()?;
            if let Some(result) = ready(self)? {
                return Ok(result);
            }
            self.base.r#loop(EventBase::LOOP_ONCE)?;
        }
    }

    fn check_signal(&self) -> Result<(), End> {
        self.ended_by
            .get()
            .map_or(Ok(()), |signum| Err(End::Signal(signum)))
    }

    /// A child of this program that has ended. Others are reaped and ignored: a process keeps its
    /// children across `exec`, and the first process of a container inherits orphans.
    fn reap(&mut self) -> php_event::Result<Option<(Pid, Exit)>> {
        loop {
            match wait(Wait::NoHang)? {
                Waited::Ended(pid, exit) if self.children.remove(&pid) => {
                    return Ok(Some((pid, exit)));
                }
                Waited::Ended(..) => {}
                Waited::Running => return Ok(None),
                Waited::NoChild => {
                    self.children.clear(); // something else has reaped them
                    return Ok(None);
                }
            }
        }
    }

    /// Ends the remaining children, and reaps them.
    fn end_children(&mut self) -> php_event::Result<()> {
        for signum in [libc::SIGTERM, libc::SIGKILL] {
            for pid in &self.children {
                if let Err(error) = kill(*pid, signum) {
                    tracing::warn!(pid, "{error}");
                }
            }
            self.timer.add(Some(GRACE))?;
            while signum == libc::SIGKILL || self.timer.is_pending() {
                while self.reap()?.is_some() {}
                if self.children.is_empty() {
                    return Ok(());
                }
                self.base.r#loop(EventBase::LOOP_ONCE)?;
            }
        }
        Ok(())
    }
}

/// Runs a child to its end. It does not touch its copies of the parent's base and events.
fn child(parent: Pid, time: Duration) -> ! {
    end_with(parent);
    match is_arr() {
        Ok(()) => thread::sleep(time),
        Err(_) => process::exit(1), // the parent has the same standard output, and reports it
    }
    process::exit(0)
}

/// Makes the kernel end this process when `parent` ends, even by SIGKILL.
#[cfg(target_os = "linux")]
fn end_with(parent: Pid) {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).ok(); // cannot fail for a valid signal
    if nix::unistd::getppid().as_raw() != parent {
        process::exit(1); // it has ended already
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with(_parent: Pid) {}

/// PHP's `isArr`.
fn is_arr() -> io::Result<()> {
    m::ARR.with_borrow_mut(|arr| {
        if arr.is_empty() {
            write("global M::arr empty~\n")?;
            arr.push(getpid());
        }
        Ok(())
    })
}

/// PHP's `print_r` of an array of numbers.
fn print_r(arr: &[Pid]) -> String {
    let entries = arr.iter().enumerate();
    let lines = entries.map(|(key, value)| format!("    [{key}] => {value}\n"));
    format!("Array\n(\n{})\n", lines.collect::<String>())
}

/// A time from [`SHORTEST_SLEEP`] to `longest`.
fn random_sleep(longest: Duration) -> Duration {
    let shortest = SHORTEST_SLEEP.min(longest);
    shortest + (longest - shortest).mul_f64(fastrand::f64())
}

/// Whether a line can be written without waiting for the reader. A broken pipe counts as having
/// room: the write reports it.
fn stdout_has_room() -> bool {
    let stdout = io::stdout();
    let mut polled = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
    poll(&mut polled, PollTimeout::ZERO).map_or(true, |ready| ready > 0)
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn fork_failure(started: u32, wanted: u32, cause: php_event::Error) -> ServerError {
    let remedy = if cause.kind() == io::ErrorKind::WouldBlock {
        "; ask for fewer, or raise the limit on processes (ulimit -u, the cgroup's pids.max)"
    } else {
        ""
    };
    ServerError::Fork {
        started,
        wanted,
        cause,
        remedy,
    }
}
