//! Bases and loops with a time limit.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, process, thread};

use php_event::{Event, EventBase, EventConfig, LoopEnd, LoopFlags};

/// Longer than any loop of a test takes. [`limited`] gives more where `TEST_TIME_FACTOR` is set.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A time that no test waits for.
pub const NEVER: Duration = Duration::from_secs(3600);

/// The time of an event that is due in the next turn.
pub const NOW: Option<Duration> = Some(Duration::ZERO);

/// [`Duration::from_millis`] in the form that events take.
pub fn ms(n: u64) -> Option<Duration> {
    Some(Duration::from_millis(n))
}

/// How many times as long as usual things may take: the environment's `TEST_TIME_FACTOR`, for
/// tools that slow a program down.
pub fn time_factor() -> u32 {
    env::var("TEST_TIME_FACTOR").map_or(1, |factor| factor.parse().unwrap())
}

/// Does `work`, and ends the test program if that takes longer than [`LIMIT`], times the
/// environment's `TEST_TIME_FACTOR`.
///
/// A thread watches the time: a timer event would keep loops alive that are meant to end, and
/// would never fire in a loop that spins in C.
pub fn limited<T>(work: impl FnOnce() -> T) -> T {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let limit = LIMIT * time_factor();
    let (done, wait) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            writeln!(io::stderr(), "{name}: not done after {limit:?}").ok();
            process::abort();
        }
    });
    let result = catch_unwind(AssertUnwindSafe(work));
    drop(done);
    watch.join().unwrap();
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Runs the loop until it ends by itself.
pub fn run(base: &EventBase) -> LoopEnd {
    run_as(base, LoopFlags::empty())
}

/// Runs the loop with these flags.
pub fn run_as(base: &EventBase, flags: LoopFlags) -> LoopEnd {
    limited(|| base.r#loop(flags)).expect("the loop fails")
}

/// Waits until an event is active, and runs what is active then (`LOOP_ONCE`).
pub fn run_once(base: &EventBase) -> LoopEnd {
    run_as(base, EventBase::LOOP_ONCE)
}

/// Runs what is active now, without waiting (`LOOP_ONCE | LOOP_NONBLOCK`).
pub fn poll(base: &EventBase) -> LoopEnd {
    run_as(base, EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
}

/// A base with the system's best backend.
pub fn new_base() -> EventBase {
    EventBase::new().expect("no base")
}

/// A base whose clock is exact, for tests that measure: the ordinary one's is coarse, and
/// its timers may come some milliseconds early.
pub fn precise_base() -> EventBase {
    let config = EventConfig::new().expect("no config");
    config.set_flags(EventBase::PRECISE_TIMER).expect("no flag");
    EventBase::with_config(&config).expect("no base")
}

/// A base with the named backend and no other.
pub fn base_with(method: &str) -> EventBase {
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
