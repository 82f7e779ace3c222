//! Processes: what PHP programs take from `pcntl` and `posix`.
//!
//! Owns nothing, lends C nothing, runs no user code.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io::Write as _;
use std::{fmt, fs, io};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{self, ForkResult};

use php_event_macros::php;

use crate::error::{Error, Result};
pub(crate) use crate::runtime::generation;
use crate::runtime::{in_loop, signals, watch_forks};

/// The number of a process.
///
/// # Examples
/// ```
/// use php_event::process::{Pid, getpid};
/// let own: Pid = getpid();
/// assert!(own > 0);
/// ```
pub type Pid = i32;

/// Which of the two processes [`fork`] returned in.
///
/// # Examples
/// ```no_run
/// use php_event::process::{Fork, fork};
/// match fork() {
///     Ok(Fork::Parent(child)) => println!("the child is {child}"),
///     Ok(Fork::Child) => println!("this is the child"),
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// This is the parent; the child has this number.
    Parent(Pid),
    /// This is the child.
    Child,
}

/// Makes a child process, which shares nothing with its parent but open files.
///
/// In the child, call [`re_init`](crate::EventBase::re_init) on a base made before, before you
/// use it or its events. Until then, signals that the base waited for have their previous
/// disposition. Buffered standard output is flushed first, so that it is not written twice.
///
/// # Errors
/// [`Error::State`] inside a callback: leave the loop first. [`Error::State`] with more than
/// one thread: the child would have this thread only, and locks that the others held.
/// [`Error::Io`] when the system refuses.
///
/// # Examples
/// ```
/// use php_event::process::{Exit, Fork, Wait, Waited, fork, wait};
///
/// match fork() {
///     Ok(Fork::Child) => std::process::exit(3),
///     Ok(Fork::Parent(pid)) => assert_eq!(wait(Wait::Block)?, Waited::Ended(pid, Exit::Code(3))),
///     Err(error) => println!("{error}"), // a second thread is running
/// }
/// # Ok::<(), php_event::EventException>(())
/// ```
#[php("pcntl_fork")]
pub fn fork() -> Result<Fork> {
    if in_loop() {
        let reason =
            "not possible inside a callback: leave the loop with EventBase::exit and fork then";
        return Err(Error::State { call: CALL, reason });
    }
    if threads(CALL)? != 1 {
        let reason = "not possible with more than one thread: fork before the others start";
        return Err(Error::State { call: CALL, reason });
    }
    io::stdout()
        .flush()
        .map_err(|error| Error::io(CALL, error))?;
    watch_forks();
    let mut record = signals::lock();
    let held = SignalsHeld::new(CALL)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the lint sends callers to this function"
    )]
    // SAFETY: this process has one thread, so the child inherits no locked mutex.
    let forked = unsafe { unistd::fork() };
    if matches!(forked, Ok(ForkResult::Child)) {
        record.restore_former();
    }
    drop(held);
    match forked.map_err(|error| Error::io(CALL, error))? {
        ForkResult::Child => Ok(Fork::Child),
        ForkResult::Parent { child } => Ok(Fork::Parent(child.as_raw())),
    }
}

/// How many threads this process has. One that was just joined may still count.
pub(crate) fn threads(call: &'static str) -> Result<usize> {
    let tasks = fs::read_dir("/proc/self/task").map_err(|error| Error::io(call, error))?;
    Ok(tasks.count())
}

/// Blocks all signals: in a child, libevent's handler would write one into the parent's pipe.
struct SignalsHeld(nix::sys::signal::SigSet);

impl SignalsHeld {
    fn new(call: &'static str) -> Result<Self> {
        let all = nix::sys::signal::SigSet::all();
        let before = all.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
        before.map(Self).map_err(|error| Error::io(call, error))
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        self.0.thread_set_mask().ok(); // can't fail: the kernel gave us this mask
    }
}

/// How long [`wait`] waits.
///
/// # Examples
/// ```
/// use php_event::process::{Wait, Waited, wait};
/// assert_eq!(wait(Wait::NoHang)?, Waited::NoChild);
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until a child ends.
    Block,
    /// Not at all. PHP: `WNOHANG`.
    NoHang,
}

/// What [`wait`] found.
///
/// # Examples
/// ```
/// use php_event::process::{Wait, Waited, wait};
/// while let Waited::Ended(child, exit) = wait(Wait::Block)? {
///     println!("{child}: {exit}");
/// }
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// This child ended, and is reaped.
    Ended(Pid, Exit),
    /// There are children, and none has ended. Only with [`Wait::NoHang`].
    Running,
    /// There is no child. PHP: −1.
    NoChild,
}

/// How a process ended.
///
/// # Examples
/// ```
/// use php_event::process::Exit;
/// assert_eq!(Exit::Code(3).to_string(), "exit code 3");
/// assert_eq!(Exit::Signal { number: libc::SIGKILL, core: false }.to_string(), "SIGKILL");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited, with this code. PHP: `pcntl_wifexited`, `pcntl_wexitstatus`.
    Code(i32),
    /// A signal killed it. PHP: `pcntl_wifsignaled`, `pcntl_wtermsig`.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether it left a core dump.
        core: bool,
    },
}

impl fmt::Display for Exit {
    /// `exit code 3`, `SIGKILL`, `SIGSEGV (core dumped)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, core } => {
                write!(
                    f,
                    "{}{}",
                    signal_name(number),
                    if core { " (core dumped)" } else { "" }
                )
            }
        }
    }
}

/// Waits for any child to end, and reaps it.
///
/// # Errors
/// [`Error::Io`], of kind `Interrupted` when a signal came first.
///
/// # Examples
/// ```
/// use php_event::process::{Wait, Waited, wait};
///
/// assert_eq!(wait(Wait::NoHang)?, Waited::NoChild);
/// # Ok::<(), php_event::EventException>(())
/// ```
#[php("pcntl_wait")]
pub fn wait(how: Wait) -> Result<Waited> {
    let flags = match how {
        Wait::Block => 0,
        Wait::NoHang => libc::WNOHANG,
    };
    let mut status = 0;
    // SAFETY: writes to `status`, and to nothing else.
    let waited = unsafe { libc::waitpid(-1, &mut status, flags) };
    match Errno::result(waited) {
        Ok(pid) if pid > 0 && libc::WIFEXITED(status) => {
            Ok(Waited::Ended(pid, Exit::Code(libc::WEXITSTATUS(status))))
        }
        Ok(pid) if pid > 0 && libc::WIFSIGNALED(status) => Ok(Waited::Ended(
            pid,
            Exit::Signal {
                number: libc::WTERMSIG(status),
                core: libc::WCOREDUMP(status),
            },
        )),
        Ok(_) => Ok(Waited::Running),
        Err(Errno::ECHILD) => Ok(Waited::NoChild),
        Err(error) => Err(Error::io(CALL, error)),
    }
}

/// Sends a signal to a process. Signal 0 only checks that the process exists.
///
/// # Errors
/// [`Error::Io`] when there is no such process, or we may not signal it;
/// [`Error::Argument`] for an invalid signal number, for the two that the C library reserves,
/// and for a process number below 1, which would mean a group.
///
/// # Examples
/// ```
/// use php_event::process::{getpid, kill};
///
/// kill(getpid(), 0)?; // is there
/// # Ok::<(), php_event::EventException>(())
/// ```
#[php("posix_kill")]
pub fn kill(pid: Pid, signum: c_int) -> Result<()> {
    if pid < 1 {
        return Err(Error::argument(
            CALL,
            format!("{pid} is not the number of one process"),
        ));
    }
    if !(0..=64).contains(&signum) || matches!(signum, 32 | 33) {
        return Err(Error::argument(CALL, format!("{signum} is not a signal")));
    }
    // SAFETY: takes numbers only, and the signal goes to one process.
    let sent = unsafe { libc::kill(pid, signum) };
    Errno::result(sent)
        .map(drop)
        .map_err(|error| Error::io(CALL, error))
}

/// The number of this process.
///
/// # Examples
/// ```
/// assert_eq!(php_event::process::getpid(), std::process::id() as i32);
/// ```
#[php("posix_getpid")]
#[must_use]
pub fn getpid() -> Pid {
    unistd::getpid().as_raw()
}

/// A signal's name: `SIGTERM`; `signal 34` for one that has none.
///
/// # Examples
/// ```
/// assert_eq!(php_event::process::signal_name(15), "SIGTERM");
/// ```
#[must_use]
pub fn signal_name(signum: c_int) -> String {
    Signal::try_from(signum).map_or_else(
        |_| format!("signal {signum}"),
        |signal| signal.as_str().to_owned(),
    )
}

/// Whether the process ignores a signal, for example because `nohup` started it so.
///
/// A signal event overrides that while it is pending, so a program that respects what it
/// inherits asks before it adds one.
///
/// # Errors
/// [`Error::Io`] when there is no such signal.
///
/// # Examples
/// ```
/// use php_event::process::signal_is_ignored;
///
/// assert!(!signal_is_ignored(15)?);
/// assert!(signal_is_ignored(0).is_err());
/// # Ok::<(), php_event::EventException>(())
/// ```
#[php(
    "pcntl_signal_get_handler",
    php_note = ", which would answer `SIG_IGN`"
)]
pub fn signal_is_ignored(signum: c_int) -> Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes to `action`, which this frame owns.
    let asked = unsafe { libc::sigaction(signum, std::ptr::null(), action.as_mut_ptr()) };
    if asked != 0 {
        return Err(Error::io(CALL, io::Error::last_os_error()));
    }
    // SAFETY: the call succeeded, so it has written all of `action`.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Gives free memory of the allocator back to the system. True when some was given back.
///
/// A server that held much for a while calls this afterwards: the allocator keeps freed memory
/// for the next request otherwise. With glibc this is `malloc_trim(0)`, which walks the free
/// lists: call it seldom. Elsewhere it does nothing.
///
/// # Examples
/// ```
/// drop(vec![0u8; 1 << 20]);
/// php_event::process::gc_mem_caches();
/// ```
#[php(
    "gc_mem_caches",
    php_note = ", which does the same for Zend's memory manager"
)]
#[doc(alias = "malloc_trim")]
pub fn gc_mem_caches() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: it takes the allocator's own locks, and touches only memory that is free.
        unsafe { libc::malloc_trim(0) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}
