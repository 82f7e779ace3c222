//! The tutorial's third program: forked processes share no variables.
//!
//! Owns: `m::ARR`, of which each process has its own; in the parent, the base, its signals,
//! and the numbers of the children that are not reaped yet.
//!
//! The parent reads from top to bottom, as PHP's does. Where PHP's blocks, in `pcntl_wait`,
//! `sleep` and an `echo` that nobody reads, the base's loop runs turn by turn until what is
//! waited for is there, so that SIGTERM and SIGINT are heard wherever it stands. From then on
//! nothing is printed any more: the children are told to end, and reaped.
//!
//! A failing standard output ends it as well, with exit code 1. One that was closed before
//! the start is `/dev/null` to a Rust program, and fails nobody.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::time::Duration;
use std::{ffi, process, thread};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

use super::Failure;
use super::config::Isolation;
use php_event::process::{Exit, Fork, Pid, Wait, Waited, fork, getpid, kill, signal_name, wait};
use php_event::{Event, EventBase};

/// How long children may take to end after SIGTERM. Only a child that was started with
/// SIGTERM ignored, or is stopped, takes any time at all; then comes SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// The shortest sleep of a child, where the longest allows.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// PHP's class `M`.
mod m {
    use std::cell::RefCell;

    thread_local! {
        pub(super) static ARR: RefCell<Vec<super::Pid>> = RefCell::default();
    }
}

/// Forks the children, reaps each, and shows that the parent's variable stays empty.
pub(crate) fn run(settings: Isolation) -> Result<(), Failure> {
    let mut parent = Parent::new()?;
    match parent.run(settings) {
        Ok(()) => Ok(()),
        Err(End::Asked(signum)) => {
            let (name, children) = (signal_name(signum), parent.children.len());
            tracing::info!(children, "{name}: the children are told to end");
            Ok(parent.dismiss_children()?)
        }
        Err(End::Failed(failure)) => {
            if let Err(error) = parent.dismiss_children() {
                tracing::error!("children were left behind: {error}");
            }
            Err(failure)
        }
    }
}

/// Why the parent ends before its children have.
enum End {
    /// This signal asked for it.
    Asked(ffi::c_int),
    /// It cannot go on.
    Failed(Failure),
}

impl<F: Into<Failure>> From<F> for End {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

struct Parent {
    base: EventBase,
    asked: Rc<Cell<Option<ffi::c_int>>>, // the signal that asked for the end
    timer: Event,
    writable: Event,
    _signals: [Event; 3],
    children: BTreeSet<Pid>,
}

impl Parent {
    /// Made before the first fork: a process that was started with SIGCHLD ignored would not
    /// be told of its children, and SIGTERM must not wait until all are forked.
    fn new() -> Result<Self, Failure> {
        let heard = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT];
        SigSet::from_iter(heard).thread_unblock().ok(); // fails for no set
        let base = EventBase::new()?;
        let asked = Rc::new(Cell::new(None));
        let on_asked = |signum| {
            let asked = Rc::clone(&asked);
            Event::signal(&base, signum, move |signum, _event| asked.set(Some(signum)))
        };
        let signals = [
            Event::signal(&base, libc::SIGCHLD, |_signum, _event| {})?, // ends the turn
            on_asked(libc::SIGTERM)?,
            on_asked(libc::SIGINT)?,
        ];
        signals.iter().try_for_each(|signal| signal.add(None))?;
        Ok(Self {
            timer: Event::timer(&base, |_event| {})?,
            writable: Event::new(&base, io::stdout(), Event::WRITE, |_, _, _| {})?,
            base,
            asked,
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
            self.sleep(settings.interval)?;
            let arr = m::ARR.with_borrow(|arr| print_r(arr));
            self.print(&arr)?;
        }
        Ok(())
    }

    fn fork_children(&mut self, settings: Isolation) -> Result<(), End> {
        let (parent, wanted) = (getpid(), settings.children);
        for started in 0..wanted {
            // Drawn before the fork: with one state of the generator, children draw alike.
            let time = random_sleep(settings.max_sleep);
            match fork() {
                Ok(Fork::Child) => child(parent, time),
                Ok(Fork::Parent(pid)) => self.children.insert(pid),
                Err(cause) => return Err(fork_failure(started, wanted, cause).into()),
            };
            self.base.r#loop(EventBase::LOOP_NONBLOCK)?;
            self.go_on()?;
        }
        Ok(())
    }

    /// `pcntl_wait`: the next child that ends; `None` when none is left.
    fn wait(&mut self) -> Result<Option<(Pid, Exit)>, End> {
        self.until(|this| {
            let ended = this.reap()?;
            let answered = ended.is_some() || this.children.is_empty();
            Ok(answered.then_some(ended))
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
        write(text).map_err(|error| Failure::Output(error).into())
    }

    /// Lets the loop turn until `ready` has an answer, or a signal asks for the end.
    fn until<T>(
        &mut self,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>, Failure>,
    ) -> Result<T, End> {
        loop {
            self.go_on()?;
            if let Some(answer) = ready(self)? {
                return Ok(answer);
            }
            self.base.r#loop(EventBase::LOOP_ONCE)?;
        }
    }

    fn go_on(&self) -> Result<(), End> {
        self.asked
            .get()
            .map_or(Ok(()), |signum| Err(End::Asked(signum)))
    }

    /// A child of ours that has ended. Others are let go: an `exec` leaves its process the
    /// children it had, and the first process of a container is given orphans.
    fn reap(&mut self) -> php_event::Result<Option<(Pid, Exit)>> {
        loop {
            match wait(Wait::NoHang)? {
                Waited::Ended(pid, exit) if self.children.remove(&pid) => {
                    return Ok(Some((pid, exit)));
                }
                Waited::Ended(..) => {}
                Waited::Running => return Ok(None),
                Waited::NoChild => {
                    self.children.clear(); // whoever reaped them, none is waited for
                    return Ok(None);
                }
            }
        }
    }

    /// Ends the children that are left, and reaps them.
    fn dismiss_children(&mut self) -> php_event::Result<()> {
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

/// A child's whole life. Its copies of the parent's base and events are not touched.
fn child(parent: Pid, time: Duration) -> ! {
    end_with(parent);
    match is_arr() {
        Ok(()) => thread::sleep(time),
        Err(_) => process::exit(1), // the parent has the same standard output, and will say it
    }
    process::exit(0)
}

/// Makes the kernel end this process when `parent` ends, by SIGKILL too.
#[cfg(target_os = "linux")]
fn end_with(parent: Pid) {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).ok(); // fails for what is no signal
    if nix::unistd::getppid().as_raw() != parent {
        process::exit(1); // it ended before it was asked about
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

/// Whether a line can be written without waiting for the reader. A broken pipe has room:
/// writing tells.
fn stdout_has_room() -> bool {
    let stdout = io::stdout();
    let mut asked = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
    poll(&mut asked, PollTimeout::ZERO).map_or(true, |ready| ready > 0)
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

fn fork_failure(started: u32, wanted: u32, cause: php_event::Error) -> Failure {
    let remedy = if cause.kind() == io::ErrorKind::WouldBlock {
        "; ask for fewer, or raise the limit on processes (ulimit -u, the cgroup's pids.max)"
    } else {
        ""
    };
    Failure::Fork {
        started,
        wanted,
        cause,
        remedy,
    }
}
