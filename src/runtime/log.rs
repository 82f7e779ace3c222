//! libevent's log, kept off stderr.
//!
//! Owns: the texts that libevent logged on this thread and that are not read yet.
//! Lends C its log and fatal callbacks, for the life of the process.
//! Runs user code: the `tracing` subscriber, in [`flush`], which is only called where no
//! libevent frame is in the middle of its work.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::Once;

use nix::errno::Errno;

use super::memory;
use super::waiting::Waiting;
use crate::ffi;

/// More than this many unread texts on one thread are dropped, the newest first.
const PARKED_MAX: usize = 32;

thread_local! {
    static PARKED: RefCell<Parked> = const { RefCell::new(Parked { fresh: Vec::new(), rest: Vec::new() }) };
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// What libevent said.
#[derive(Default)]
struct Parked {
    fresh: Vec<Text>, // since the last failed call
    rest: Vec<Text>,  // before it
}

type Text = (Level, Box<str>);

/// libevent's severities.
#[derive(Clone, Copy)]
enum Level {
    Debug,
    Message,
    Warning,
    Error,
}

/// Takes libevent's log away from stderr, and its allocations; the first base, config or buffer of
/// the process does it.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        memory::install();
        // SAFETY: `on_log` is a function of this crate, never unloaded, and calls no libevent.
        unsafe { ffi::event_set_log_callback(Some(on_log)) };
        // SAFETY: `on_fatal` is a function of this crate; it aborts, or unwinds to `catch_fatal`.
        unsafe { ffi::event_set_fatal_callback(Some(on_fatal)) };
    });
}

/// Keeps a text until C has returned. Called from inside libevent: runs no user code.
fn park(level: Level, text: &str) {
    Waiting::Texts.begin();
    let kept = PARKED.try_with(|parked| {
        let Parked { fresh, rest } = &mut *parked.borrow_mut();
        if fresh.len() + rest.len() < PARKED_MAX {
            fresh.push((level, text.into()));
        }
    });
    kept.ok(); // the thread ends and its variables are gone: nobody would read it
}

/// Takes the last text of libevent's as the cause of a failed call; [`flush`] logs the others.
/// Runs no user code: its callers hold raw pointers, borrows and locks.
pub(crate) fn take_cause() -> Option<Box<str>> {
    let take = |parked: &RefCell<Parked>| {
        let Parked { fresh, rest } = &mut *parked.borrow_mut();
        let cause = fresh.pop();
        rest.append(fresh);
        cause
    };
    PARKED.try_with(take).ok().flatten().map(|(_, text)| text)
}

/// Forgets what libevent said about a call that is known to be right.
pub(crate) fn discard() {
    let forget = |parked: &RefCell<Parked>| parked.borrow_mut().fresh.clear();
    PARKED.try_with(forget).ok();
}

/// Hands what libevent said to `tracing`, whose subscriber is user code. Called only where the
/// caller relies on nothing that user code can end.
#[inline]
pub(crate) fn flush() {
    if Waiting::Texts.is() {
        emit_all();
    }
}

#[cold]
fn emit_all() {
    Waiting::Texts.end();
    let parked = PARKED.try_with(RefCell::take).unwrap_or_default();
    emit(parked.rest);
    emit(parked.fresh);
}

/// The last text, for the message before an abort.
fn last_words() -> Option<Box<str>> {
    let last = |parked: &RefCell<Parked>| {
        let mut parked = parked.try_borrow_mut().ok()?;
        parked.fresh.pop().or_else(|| parked.rest.pop())
    };
    PARKED.try_with(last).ok().flatten().map(|(_, text)| text)
}

fn emit(parked: Vec<Text>) {
    for (level, text) in parked {
        match level {
            Level::Debug => tracing::debug!(target: "libevent", "{text}"),
            Level::Message => tracing::info!(target: "libevent", "{text}"),
            Level::Warning => tracing::warn!(target: "libevent", "{text}"),
            Level::Error => tracing::error!(target: "libevent", "{text}"),
        }
    }
}

/// # Safety
/// Registered only with `event_set_log_callback`, which gives a C string.
unsafe extern "C" fn on_log(severity: c_int, text: *const c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: libevent passes a NUL-terminated buffer that lives until this returns.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let level = match severity {
        0 => Level::Debug,
        1 => Level::Message,
        2 => Level::Warning,
        _ => Level::Error,
    };
    park(level, &text);
}

/// Runs a C call; a fatal error in it comes back as the system's error.
///
/// libevent would end the process after its callback returns. The callback unwinds instead,
/// through C frames: what these own leaks, and the caller uses nothing that they worked on.
/// Where the C library was built without unwind tables, or panics abort, the process ends.
pub(crate) fn catch_fatal<T>(call: impl FnOnce() -> T) -> io::Result<T> {
    let before = CATCHING.replace(true);
    let caught = catch_unwind(AssertUnwindSafe(call));
    CATCHING.set(before);
    caught.map_err(|payload| match payload.downcast::<Fatal>() {
        Ok(fatal) => fatal.0.into(),
        Err(payload) => resume_unwind(payload),
    })
}

/// What unwinds to [`catch_fatal`].
struct Fatal(Errno);

/// libevent cannot go on: tells why and aborts, where libevent alone would end the process
/// with an ordinary exit code.
///
/// # Safety
/// Registered only with `event_set_fatal_callback`.
unsafe extern "C-unwind" fn on_fatal(code: c_int) {
    let cause = Errno::last();
    if CATCHING.get() && cfg!(panic = "unwind") {
        take_cause();
        resume_unwind(Box::new(Fatal(cause)));
    }
    let words = last_words();
    let words = words.as_deref().unwrap_or("no cause given");
    // In one write: a process that forked may end at the same time, with the same stderr.
    let line = format!("libevent: fatal error {code}: {words}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    process::abort();
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Stdio};

    use nix::sys::signal::Signal;
    use test_support::{limited, spawn};

    use super::*;

    /// The process that this test starts runs it again, with this set.
    const DYING: &str = "PHP_EVENT_TEST_DYING";

    #[test]
    // Skipped under Valgrind: it tells more on stderr when a process aborts.
    fn a_fatal_error_is_one_write_on_stderr() {
        if env::var_os(DYING).is_some() {
            park(Level::Error, "no memory");
            // SAFETY: it touches nothing of libevent's, and does not return.
            unsafe { on_fatal(1) };
        }
        let (stderr, theirs) = UnixDatagram::pair().unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["a_fatal_error_is_one_write_on_stderr", "--nocapture"])
            .env(DYING, "1")
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(theirs));
        let mut child = spawn(&mut command).unwrap();
        let status = limited(move || child.wait()).unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
        let mut written = [0; 256];
        stderr.set_nonblocking(true).unwrap();
        let length = stderr.recv(&mut written).unwrap();
        let written = String::from_utf8_lossy(&written[..length]);
        assert_eq!(written, "libevent: fatal error 1: no memory\n");
    }
}
