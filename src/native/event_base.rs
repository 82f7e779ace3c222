//! Every call on an `event_base`.
//!
//! Owns: the base. Lends C nothing. Runs callbacks: [`OwnedBase::run`], those of every object
//! on the base.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::event_memory::EventMemory;
use super::{OwnedConfig, timeval};
use crate::ffi;
use crate::flags::{EventFeatures, LoopFlags};
use crate::runtime::error::{Error, Result, cvt, cvt_owned};
use crate::runtime::{log, signals};

/// An `event_base`, freed with this. What is made on it is freed before.
#[derive(Debug)]
pub(crate) struct OwnedBase {
    raw: NonNull<ffi::event_base>,
    leaked: Cell<bool>,
    selects: bool, // the backend is `select`
    priorities: Cell<i32>,
}

impl OwnedBase {
    /// The most priorities that a base can have.
    pub(crate) const PRIORITIES_MAX: i32 = ffi::EVENT_MAX_PRIORITIES.cast_signed() - 1;

    /// Fails with the system's error when a descriptor is missing, where libevent alone would
    /// end the process; what it had allocated and opened by then (a descriptor or two) leaks.
    pub(crate) fn new(call: &'static str, config: Option<&OwnedConfig>) -> Result<Self> {
        EventMemory::suffices(call)?;
        let empty;
        let config = match config {
            Some(config) => config,
            None => {
                empty = OwnedConfig::new(call)?;
                &empty
            }
        };
        // SAFETY: `config` owns its `event_config`, which libevent only reads. If it has no
        // descriptor left for the signal pair, this unwinds, and nobody uses the base.
        let new = || unsafe { ffi::event_base_new_with_config(config.raw()) };
        let raw = log::catch_fatal(new).map_err(|source| Error::io(call, source))?;
        let mut base = Self {
            raw: cvt_owned(call, raw)?,
            leaked: Cell::new(false),
            selects: false,
            priorities: Cell::new(1),
        };
        base.selects = base.method() == "select";
        Ok(base)
    }

    /// For what is made on the base.
    pub(crate) fn raw(&self) -> *mut ffi::event_base {
        self.raw.as_ptr()
    }

    /// Leaves the base to the parent of a forked child: dropping this frees nothing.
    pub(crate) fn leak(&self) {
        self.leaked.set(true);
    }

    pub(crate) fn method(&self) -> &'static str {
        // SAFETY: `self` owns the base.
        let name = unsafe { ffi::event_base_get_method(self.raw()) };
        // SAFETY: the name is a constant of the backend.
        let name = unsafe { CStr::from_ptr(name) };
        name.to_str().unwrap_or("unknown")
    }

    /// The first descriptor number that the backend cannot watch, if there is one.
    pub(crate) fn descriptor_limit(&self) -> Option<RawFd> {
        let limit = RawFd::try_from(libc::FD_SETSIZE).unwrap_or(RawFd::MAX);
        self.selects.then_some(limit)
    }

    pub(crate) fn features(&self) -> EventFeatures {
        // SAFETY: `self` owns the base.
        let bits = unsafe { ffi::event_base_get_features(self.raw()) };
        EventFeatures::from_bits_retain(bits.cast_unsigned())
    }

    /// How many priorities there are.
    pub(crate) fn priorities(&self) -> i32 {
        self.priorities.get()
    }

    /// Sets the number of priorities; refuses while events are active. libevent asserts on an
    /// event whose priority there is no longer, so the caller keeps those above.
    pub(crate) fn set_priorities(&self, n: i32) -> bool {
        // SAFETY: `self` owns the base.
        let set = unsafe { ffi::event_base_priority_init(self.raw(), n) } == 0;
        if set {
            self.priorities.set(n);
        }
        set
    }

    /// Runs the loop: 0 after a turn or a stop, 1 when no event is pending, -1 on failure and
    /// where the loop is running already.
    ///
    /// Runs callbacks: those of every object on the base. They can free any of these, but not
    /// the base, which the caller's borrow keeps.
    pub(crate) fn run(&self, flags: LoopFlags) -> i32 {
        // SAFETY: `self` owns the base, and is borrowed until the loop has ended.
        unsafe { ffi::event_base_loop(self.raw(), flags.bits()) }
    }

    /// Ends the loop after the running callback. Touches this process's memory only.
    pub(crate) fn stop(&self) {
        // SAFETY: `self` owns the base; without locks the call only sets a flag.
        unsafe { ffi::event_base_loopbreak(self.raw()) };
    }

    pub(crate) fn resume(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the base.
        let rc = unsafe { ffi::event_base_loopcontinue(self.raw()) };
        cvt(call, rc).map(drop)
    }

    /// Ends the loop after this turn, or after `timeout`: that is an event of libevent's own.
    pub(crate) fn exit(&self, call: &'static str, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(timeval);
        let time = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `self` owns the base; `time` is null or a local that libevent copies.
        let rc = unsafe { ffi::event_base_loopexit(self.raw(), time) };
        cvt(call, rc).map(drop)
    }

    pub(crate) fn got_exit(&self) -> bool {
        // SAFETY: `self` owns the base.
        unsafe { ffi::event_base_got_exit(self.raw()) != 0 }
    }

    pub(crate) fn got_stop(&self) -> bool {
        // SAFETY: `self` owns the base.
        unsafe { ffi::event_base_got_break(self.raw()) != 0 }
    }

    /// Whether no callback waits for its turn, libevent's own included. The one that is
    /// running does not count.
    pub(crate) fn is_idle(&self) -> bool {
        // SAFETY: `self` owns the base.
        let active =
            unsafe { ffi::event_base_get_num_events(self.raw(), ffi::EVENT_BASE_COUNT_ACTIVE) };
        active == 0
    }

    pub(crate) fn time(&self, call: &'static str) -> Result<SystemTime> {
        let mut time = ffi::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: `self` owns the base; `time` is a local.
        let rc = unsafe { ffi::event_base_gettimeofday_cached(self.raw(), &mut time) };
        cvt(call, rc)?;
        let seconds = Duration::from_secs(time.tv_sec.max(0).cast_unsigned());
        Ok(UNIX_EPOCH + seconds + Duration::from_micros(time.tv_usec.max(0).cast_unsigned()))
    }

    pub(crate) fn update_time(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the base.
        let rc = unsafe { ffi::event_base_update_cache_time(self.raw()) };
        cvt(call, rc).map(drop)
    }

    /// Gives the base of a forked child a backend of its own. Called at rest, with one thread:
    /// libevent closes descriptors here whose numbers another thread could be given.
    pub(crate) fn re_init(&self, call: &'static str) -> Result<()> {
        // SAFETY: `self` owns the base, which no loop is running on.
        let rc = unsafe { ffi::event_reinit(self.raw()) };
        cvt(call, rc).map(drop)
    }
}

impl Drop for OwnedBase {
    fn drop(&mut self) {
        if self.leaked.get() {
            return;
        }
        let _signals = signals::lock(); // libevent looks at its process-wide signal state
        // SAFETY: made in `new`, freed only here. Each object on the base counts on what owns
        // this, so it has been freed.
        unsafe { ffi::event_base_free(self.raw()) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    use test_support::alone;

    use super::OwnedBase;
    use crate::runtime::error::Error;
    use crate::runtime::log;

    /// `EventBase` looks for room first, but another thread may take it in between.
    // Skipped under Valgrind and ASan: what C had allocated leaks, as documented.
    #[test]
    fn no_descriptor_for_the_signal_pair_is_an_error_not_an_abort() {
        alone(&[], || {
            log::install();
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            for room in [1, 2] {
                let lowest_free = File::open("/dev/null").unwrap().as_raw_fd().cast_unsigned();
                let limit = u64::from(lowest_free) + room;
                setrlimit(Resource::RLIMIT_NOFILE, limit, hard).unwrap();
                let error = OwnedBase::new("a test", None).unwrap_err();
                let Error::Io { source, .. } = error else {
                    panic!("{room}: {error}");
                };
                assert_eq!(source.raw_os_error(), Some(libc::EMFILE), "{room}");
                setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
                OwnedBase::new("a test", None).unwrap();
            }
        });
    }
}
