//! What the class tests share: a time limit, a process of one's own, a list of what happened.
#![allow(dead_code)] // each test file uses its part

use std::any::type_name;
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::process::{self, Command};
use std::rc::Rc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use php_event::{Event, EventBase, EventConfig, LoopEnd, LoopFlags};

/// Far longer than any loop of these tests, and than any pause of a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// A time that no test waits for.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// The time of an event that is due in the next turn.
pub(crate) const NOW: Option<Duration> = Some(Duration::ZERO);

/// As [`Duration::from_millis`], in the form that events take.
pub(crate) fn ms(n: u64) -> Option<Duration> {
    Some(Duration::from_millis(n))
}

/// Does `work`, and ends the process if that takes too long. A timer event would be no
/// such limit: it would keep loops alive that are to end.
pub(crate) fn limited<T>(work: impl FnOnce() -> T) -> T {
    let (done, over) = mpsc::channel::<()>();
    let test = thread::current().name().unwrap_or("?").to_owned();
    thread::spawn(move || {
        if over.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            writeln!(io::stderr(), "{test}: not done within {LIMIT:?}").ok();
            process::abort();
        }
    });
    let result = work();
    drop(done);
    result
}

/// Runs the loop without flags.
pub(crate) fn run(base: &EventBase) -> LoopEnd {
    run_as(base, LoopFlags::empty())
}

/// Runs the loop.
pub(crate) fn run_as(base: &EventBase, flags: LoopFlags) -> LoopEnd {
    limited(|| base.r#loop(flags)).expect("the loop fails")
}

/// One pass, without waiting.
pub(crate) fn pass(base: &EventBase) -> LoopEnd {
    run_as(base, EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
}

pub(crate) fn new_base() -> EventBase {
    EventBase::new().expect("no base")
}

/// A base whose clock is exact, for tests that measure: the ordinary one's is coarse, and
/// its timers may come some milliseconds early.
pub(crate) fn precise_base() -> EventBase {
    let config = EventConfig::new().expect("no config");
    config.set_flags(EventBase::PRECISE_TIMER).expect("no flag");
    EventBase::with_config(&config).expect("no base")
}

/// What happened, in order, as told by callbacks.
pub(crate) struct Seen<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Seen<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    pub(crate) fn note(&self, what: T) {
        self.0.borrow_mut().push(what);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was noted since the last look.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A timer that notes `name` when it fires. It is not added.
pub(crate) fn noting<T: Copy + 'static>(base: &EventBase, seen: &Seen<T>, name: T) -> Event {
    let seen = seen.clone();
    Event::timer(base, move |_event| seen.note(name)).expect("no timer")
}

/// Runs `body` in a process of its own, with `env` set, and fails unless it succeeds there
/// with nothing written on stderr. `body` is a closure in the test function itself, by which
/// that process finds it.
pub(crate) fn alone<F: FnOnce()>(env: &[(&str, &str)], body: F) {
    const MARK: &str = "PHP_EVENT_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        body();
        return;
    }
    let path = type_name::<F>().trim_end_matches("::{{closure}}");
    let (_crate, test) = path.split_once("::").expect("not in a test");
    let command = &mut Command::new(std::env::current_exe().expect("no test binary"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    command.envs(env.iter().copied()).env(MARK, "1");
    let output = limited(|| command.output()).expect("cannot start the test binary");
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned());
    assert!(output.status.success(), "{test}: {stdout}{stderr}");
    assert!(
        stdout.contains(" 1 passed"),
        "{test} was not found: {stdout}"
    );
    assert_eq!(stderr, "", "{test} wrote on stderr");
}
