//! What the tests of the library share: loops with a time limit, counted drops, sources.
#![allow(
    dead_code,
    reason = "each test file uses its part of this, and none uses all"
)]

use std::any::Any;
use std::cell::Cell;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigAction, Signal, sigaction};
use php_event::{Event, EventBase, EventConfig, EventFlags, LoopEnd, LoopFlags, Result};

/// Far more than any loop of a test takes, also under Valgrind on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Does `work`, and ends the whole test program if it takes longer than [`LIMIT`]: a thread
/// watches, so that a loop which spins in C is caught, and the base sees no event of ours.
pub(crate) fn limited<T>(work: impl FnOnce() -> T) -> T {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let (done, wait) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if wait.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = writeln!(std::io::stderr(), "{name}: not done after {LIMIT:?}");
            std::process::abort();
        }
    });
    let result = catch_unwind(AssertUnwindSafe(work));
    drop(done);
    watch.join().unwrap();
    result.unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}

/// Runs the loop until something was active and all that was has run.
pub(crate) fn pass(base: &EventBase) -> LoopEnd {
    limited(|| base.r#loop(EventBase::LOOP_ONCE)).unwrap()
}

/// Runs what is active now, without waiting.
pub(crate) fn poll(base: &EventBase) -> LoopEnd {
    limited(|| base.r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)).unwrap()
}

/// Runs the loop until it ends of its own.
pub(crate) fn run(base: &EventBase) -> LoopEnd {
    limited(|| base.dispatch()).unwrap()
}

/// A base with the named backend and no other.
pub(crate) fn base_with(method: &str) -> EventBase {
    let config = EventConfig::new().unwrap();
    for other in Event::get_supported_methods() {
        if other != method {
            config.avoid_method(other).unwrap();
        }
    }
    let base = EventBase::with_config(&config).unwrap();
    assert_eq!(base.get_method(), method);
    base
}

/// The text of the panic that `work` ends in.
#[track_caller]
pub(crate) fn panic_of<T>(work: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => text_of(&*payload),
    }
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*payload.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

/// Counts how many of its tokens were dropped.
#[derive(Clone, Default)]
pub(crate) struct Drops(Rc<Cell<usize>>);

impl Drops {
    /// Something for a closure to capture: each one that is dropped counts.
    pub(crate) fn token(&self) -> Token {
        Token(Rc::clone(&self.0))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// See [`Drops::token`].
pub(crate) struct Token(Rc<Cell<usize>>);

impl Token {
    /// Makes a closure that mentions the token own it.
    pub(crate) fn hold(&self) {}

    /// Another one of the same count.
    pub(crate) fn twin(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Panics when it is dropped, unless a panic is already on its way.
pub(crate) struct Bomb(pub(crate) &'static str);

impl Bomb {
    /// Makes a closure that mentions the bomb own it.
    pub(crate) fn hold(&self) {}
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("{}", self.0);
        }
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> OnDrop<F> {
    /// Makes a closure that mentions it own it.
    pub(crate) fn hold(&self) {}
}

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Two connected sockets that do not block.
pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (one, other) = UnixStream::pair().unwrap();
    one.set_nonblocking(true).unwrap();
    other.set_nonblocking(true).unwrap();
    (one, other)
}

/// A source that always has something to read.
pub(crate) struct Readable {
    ours: UnixStream,
    _theirs: UnixStream,
}

impl Readable {
    pub(crate) fn new() -> Self {
        let (ours, mut theirs) = pair();
        theirs.write_all(b"!").unwrap();
        Self {
            ours,
            _theirs: theirs,
        }
    }
}

impl AsFd for Readable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

/// The right to use signals: a process has one set of them, and tests share the process.
pub(crate) fn signals_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every method of an event that answers a `Result`, called on it.
pub(crate) fn event_calls(event: &Event, base: &EventBase) -> Vec<(&'static str, Result<()>)> {
    let time = Some(Duration::ZERO);
    vec![
        ("add", event.add(time)),
        ("add_timer", event.add_timer(time)),
        ("add_signal", event.add_signal(time)),
        ("del", event.del()),
        ("del_timer", event.del_timer()),
        ("del_signal", event.del_signal()),
        ("remove_timer", event.remove_timer()),
        ("active", event.active(Event::TIMEOUT)),
        ("set_priority", event.set_priority(0)),
        (
            "set",
            event.set(base, Readable::new(), Event::READ, |_, _, _| {}),
        ),
        ("set_timer", event.set_timer(base, |_| {})),
        ("EventBase::set", base.set(event)),
    ]
}

/// Every method of a base that answers a `Result`, called on it, but for `free` and `re_init`.
pub(crate) fn base_calls(base: &EventBase) -> Vec<(&'static str, Result<()>)> {
    let no_flags = EventFlags::empty();
    vec![
        ("loop", base.r#loop(LoopFlags::empty()).map(drop)),
        ("dispatch", base.dispatch().map(drop)),
        ("exit", base.exit(None)),
        ("stop", base.stop()),
        ("resume", base.resume()),
        ("priority_init", base.priority_init(2)),
        (
            "get_time_of_day_cached",
            base.get_time_of_day_cached().map(drop),
        ),
        ("update_cache_time", base.update_cache_time()),
        (
            "Event::new",
            Event::new(base, Readable::new(), no_flags, |_, _, _| {}).map(drop),
        ),
        ("Event::timer", Event::timer(base, |_| {}).map(drop)),
        (
            "Event::signal",
            Event::signal(base, libc::SIGUSR1, |_, _| {}).map(drop),
        ),
    ]
}

/// Sets what the process does on a signal, and tells what it did before.
#[allow(unsafe_code, reason = "nix cannot know what a handler does")]
pub(crate) fn set_disposition(signal: Signal, action: &SigAction) -> SigAction {
    // SAFETY: the tests give the two dispositions without a handler, and such as were in
    // place before.
    unsafe { sigaction(signal, action) }.unwrap()
}
