//! Children that tell by their exit code, and events that both processes can watch.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::exit;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use nix::unistd::{ForkResult, alarm};
use php_event::process::{Exit, Fork, Pid, Wait, Waited, fork, wait};
use php_event::{Event, EventBase, LoopEnd};

use test_support::{Drops, base_with, pair};

/// No case takes this long, also under Valgrind on a busy machine.
pub(crate) const LIMIT_SECONDS: u32 = 60;

pub(crate) const AN_HOUR: Duration = Duration::from_secs(3600);

/// Descriptors that this process got by being forked: Valgrind opens a log for each child.
static OPENED_BY_FORK: AtomicUsize = AtomicUsize::new(0);

fn all_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// How many descriptors there are: in a child as many as its parent had, at first.
pub(crate) fn descriptors() -> usize {
    all_descriptors() - OPENED_BY_FORK.load(Ordering::Relaxed)
}

/// What each descriptor is open on, but for the one that this opens.
pub(crate) fn open_files() -> Vec<PathBuf> {
    let all = fs::read_dir("/proc/self/fd").unwrap();
    let files = all.map(|file| fs::read_link(file.unwrap().path()).unwrap());
    let mut files = files
        .filter(|file| !file.starts_with("/proc"))
        .collect::<Vec<_>>();
    files.sort();
    files
}

/// Waits until a thread that was joined is gone from the kernel's list too.
pub(crate) fn until_alone() {
    while fs::read_dir("/proc/self/task").unwrap().count() > 1 {
        thread::yield_now();
    }
}

/// Whose fork it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    /// The library's.
    Ours,
    /// The system's, which the library only learns of.
    Raw,
}

impl How {
    pub(crate) const BOTH: [Self; 2] = [Self::Ours, Self::Raw];

    /// Forks, and puts the child under an alarm of its own.
    #[allow(unsafe_code)]
    #[expect(
        clippy::disallowed_methods,
        reason = "a fork that is not ours is the case"
    )]
    pub(crate) fn fork(self) -> Fork {
        let before = all_descriptors();
        let forked = match self {
            Self::Ours => fork().unwrap(),
            // SAFETY: this process has one thread.
            Self::Raw => match unsafe { nix::unistd::fork() }.unwrap() {
                ForkResult::Child => Fork::Child,
                ForkResult::Parent { child } => Fork::Parent(child.as_raw()),
            },
        };
        if forked == Fork::Child {
            alarm::set(LIMIT_SECONDS / 2);
            OPENED_BY_FORK.fetch_add(all_descriptors() - before, Ordering::Relaxed);
        }
        forked
    }

    /// Runs `work` in a child, which exits then.
    pub(crate) fn child(self, work: impl FnOnce()) -> Pid {
        match self.fork() {
            Fork::Parent(pid) => pid,
            Fork::Child => {
                let code = i32::from(catch_unwind(AssertUnwindSafe(work)).is_err());
                exit(code)
            }
        }
    }
}

/// Waits for one child, whatever signals come meanwhile.
pub(crate) fn reap(pid: Pid) -> Exit {
    loop {
        match wait(Wait::Block) {
            Ok(Waited::Ended(ended, exit)) => {
                assert_eq!(ended, pid);
                return exit;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
pub(crate) fn succeeds(pid: Pid) {
    assert_eq!(reap(pid), Exit::Code(0), "the child's panic is above");
}

/// One base of each backend.
pub(crate) fn bases() -> Vec<EventBase> {
    let methods = Event::get_supported_methods();
    methods.iter().map(|name| base_with(name)).collect()
}

/// Waits until an event is active, runs all that are, and fails when that takes too long.
pub(crate) fn run_once(base: &EventBase) {
    let late = Event::timer(base, |_| panic!("no event was active")).unwrap();
    let limit = Duration::from_secs(u64::from(LIMIT_SECONDS / 4));
    late.add_timer(Some(limit)).unwrap();
    assert_eq!(base.r#loop(EventBase::LOOP_ONCE).unwrap(), LoopEnd::Passed);
}

/// Runs what is active now.
pub(crate) fn poll(base: &EventBase) {
    base.r#loop(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK)
        .unwrap();
}

/// An event of each kind on one base, all pending.
pub(crate) struct Watch {
    pub(crate) base: EventBase,
    pub(crate) read: Event,
    pub(crate) timer: Event,
    pub(crate) signal: Event,
    pub(crate) peer: UnixStream,
    pub(crate) heard: Rc<RefCell<Vec<&'static str>>>,
    pub(crate) drops: Drops,
}

impl Watch {
    pub(crate) fn new(base: EventBase) -> Self {
        let (ours, peer) = pair();
        let (heard, drops) = (Rc::new(RefCell::new(Vec::new())), Drops::default());
        let note = |name: &'static str| {
            let (log, token) = (heard.clone(), drops.token());
            move || {
                token.hold();
                log.borrow_mut().push(name);
            }
        };
        let noted = note("read");
        let what = Event::READ | Event::PERSIST;
        let read = Event::new(&base, ours, what, move |mut source, _, _| {
            assert_eq!(source.read(&mut [0; 8]).unwrap(), 1);
            noted();
        });
        let noted = note("timer");
        let timer = Event::timer(&base, move |_| noted());
        let noted = note("signal");
        let signal = Event::signal(&base, libc::SIGUSR1, move |_, _| noted());
        let watch = Self {
            read: read.unwrap(),
            timer: timer.unwrap(),
            signal: signal.unwrap(),
            base,
            peer,
            heard,
            drops,
        };
        watch.read.add(None).unwrap();
        watch.timer.add(Some(AN_HOUR)).unwrap();
        watch.signal.add(None).unwrap();
        watch
    }

    /// Each event runs when its time has come, and only once.
    #[track_caller]
    pub(crate) fn works(&mut self) {
        poll(&self.base);
        assert_eq!(self.heard.take(), [""; 0]);
        self.peer.write_all(b"!").unwrap();
        run_once(&self.base);
        assert_eq!(self.heard.take(), ["read"]);
        raise(Signal::SIGUSR1).unwrap();
        run_once(&self.base);
        assert_eq!(self.heard.take(), ["signal"]);
        self.timer.add(Some(Duration::from_millis(1))).unwrap();
        run_once(&self.base);
        assert_eq!(self.heard.take(), ["timer"]);
        self.timer.add(Some(AN_HOUR)).unwrap();
        poll(&self.base);
        assert_eq!(self.heard.take(), [""; 0]);
    }

    pub(crate) fn events(&self) -> [&Event; 3] {
        [&self.read, &self.timer, &self.signal]
    }
}
