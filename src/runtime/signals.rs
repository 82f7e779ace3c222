//! Which base has the process's signals. libevent serves the signals of one base at a time,
//! the last that asked, and drops the other's in silence; here the second base is refused.
//!
//! Owns: the record of that base, and what each signal did before the base took it.
//! Lends C nothing, runs no user code.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{mem, ptr};

use super::error::{Error, Result};
use super::generation;

static RECORD: Mutex<Record> = Mutex::new(Record {
    base: 0,
    generation: 0,
    taken: BTreeMap::new(),
});

/// The record. libevent's own signal state is process-wide too and has no lock, so every
/// call that touches it is made while this one is held.
pub(crate) struct Record {
    base: usize, // the owner's address, 0 for nobody
    generation: u32,
    taken: BTreeMap<c_int, Taken>,
}

/// A signal that events of the owner are added for.
struct Taken {
    former: libc::sigaction,
    events: usize,
}

pub(crate) fn lock() -> MutexGuard<'static, Record> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Record {
    /// Makes the base at address `base` the owner, unless another one of this process is.
    pub(crate) fn claim(&mut self, call: &'static str, base: usize) -> Result<()> {
        let now = generation();
        if self.base != 0 && self.base != base && self.generation == now {
            let reason = "another base has signal events, and libevent serves one base's signals in a process; \
                          delete those events first, or add this one to that base";
            return Err(Error::State { call, reason });
        }
        if self.generation != now {
            self.taken.clear();
        }
        (self.base, self.generation) = (base, now);
        Ok(())
    }

    /// Counts one more added event of the owner for `signum`; with the first it notes what
    /// the signal does before libevent takes it.
    pub(crate) fn take(&mut self, signum: c_int) {
        let taken = self.taken.entry(signum).or_insert_with(|| Taken {
            former: disposition(signum),
            events: 0,
        });
        taken.events += 1;
    }

    /// Counts one added event of `base` less; the last one leaves the signals to anyone.
    pub(crate) fn give_back(&mut self, base: usize, signum: c_int) {
        if self.base != base {
            return;
        }
        if let Some(taken) = self.taken.get_mut(&signum) {
            taken.events -= 1;
            if taken.events == 0 {
                self.taken.remove(&signum);
            }
        }
        if self.taken.is_empty() {
            self.base = 0;
        }
    }

    /// In a forked child: signals do what they did before the parent's base took them, since
    /// libevent's handler would write them into the parent's pipe. Nobody owns them then.
    pub(crate) fn restore_former(&mut self) {
        if self.base == 0 {
            return;
        }
        for (signum, taken) in &self.taken {
            // SAFETY: `former` is a disposition that this process had.
            unsafe { libc::sigaction(*signum, &taken.former, ptr::null_mut()) };
        }
        self.base = 0; // `claim` clears the rest: this may run where nothing may be freed
    }
}

/// What a signal does at present.
fn disposition(signum: c_int) -> libc::sigaction {
    // SAFETY: an all-zero `sigaction` is a valid value of it, the default action.
    let mut present: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: only reads the disposition, into `present`.
    unsafe { libc::sigaction(signum, ptr::null(), &mut present) };
    present
}

/// After a `fork` that is not `process::fork`, which holds the record and does this itself.
/// Where another thread held it, it is lost to the child, as all locks are.
pub(super) fn forked() {
    if let Ok(mut record) = RECORD.try_lock() {
        record.restore_former();
    }
}
