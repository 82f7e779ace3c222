//! Which base has the process's signals. libevent gives them to one base at a time, the
//! last that asked, and loses the other's; here the second one is refused.
//!
//! Owns: the record of that base, and what each signal did before the base took it.
//! Lent to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::rc::{Rc, Weak};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{mem, ptr};

use crate::error::{Error, Result};
use crate::{base, event, process};

static OWNER: Mutex<Owner> = Mutex::new(Owner {
    base: 0,
    generation: 0,
    former: BTreeMap::new(),
});

/// The record. libevent's own signal state is process-wide too and has no lock, so every
/// call that touches it is made while this one is held.
pub(crate) struct Owner {
    base: usize, // the address of its `Inner`, 0 for nobody
    generation: u32,
    former: BTreeMap<c_int, libc::sigaction>,
}

pub(crate) fn lock() -> MutexGuard<'static, Owner> {
    OWNER.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    /// Makes `base` the owner, unless another base of this process is.
    pub(crate) fn claim(&mut self, call: &'static str, base: &base::Inner) -> Result<()> {
        let (this, now) = (ptr::from_ref(base).addr(), process::generation());
        if self.base != 0 && self.base != this && self.generation == now {
            let reason = "another base has signal events, and libevent serves one base's signals in a process; \
                          delete those events first, or add this one to that base";
            return Err(Error::State { call, reason });
        }
        if self.generation != now {
            self.former.clear();
        }
        (self.base, self.generation) = (this, now);
        Ok(())
    }

    /// Notes what `signum` does before libevent takes it.
    pub(crate) fn note_former(&mut self, signum: c_int) {
        self.former.entry(signum).or_insert_with(|| {
            // SAFETY: an all-zero `sigaction` is a valid value of it, the default action.
            let mut former: libc::sigaction = unsafe { mem::zeroed() };
            // SAFETY: only reads the disposition, into `former`.
            unsafe { libc::sigaction(signum, ptr::null(), &mut former) };
            former
        });
    }

    /// Strikes an event that is no longer added off its base's list; the last one off
    /// leaves the signals to anyone.
    pub(crate) fn strike(&mut self, base: &base::Inner, event: *const event::Inner) {
        let mut signals = base.signals.borrow_mut();
        signals.retain(|signal| signal.as_ptr() != event);
        if self.base == ptr::from_ref(base).addr() {
            let taken = signals
                .iter()
                .filter_map(Weak::upgrade)
                .map(|event| event.signum())
                .collect::<Vec<_>>();
            self.former
                .retain(|signum, _| taken.contains(&Some(*signum)));
            if taken.is_empty() {
                (self.base, self.generation) = (0, 0);
            }
        }
    }

    /// In a forked child: signals do what they did before the parent's base took them.
    /// libevent's handler would write them into the parent's pipe. They are nobody's then, so
    /// that what this child does with them is left alone in its own children.
    pub(crate) fn restore_former(&mut self) {
        if self.base == 0 {
            return;
        }
        for (signum, former) in &self.former {
            // SAFETY: `former` is a disposition that this process had.
            unsafe { libc::sigaction(*signum, former, ptr::null_mut()) };
        }
        (self.base, self.generation) = (0, 0);
    }
}

/// After a `fork` that is not [`process::fork`], which holds the record and does this
/// itself. Another thread may have held it: then it is lost to the child, as all locks are.
pub(crate) fn forked() {
    if let Ok(mut owner) = OWNER.try_lock() {
        owner.restore_former();
    }
}

/// Puts an event on its base's list of added signal events.
pub(crate) fn enlist(base: &base::Inner, event: &Rc<event::Inner>) {
    base.signals.borrow_mut().push(Rc::downgrade(event));
}
