//! libevent's half of a DNS base, and when it may be freed.
//!
//! libevent does not hand an answer over at once: it schedules a callback for later in the
//! turn. `evdns_base_free` forgets those callbacks, and the ones that belong to its probes of
//! dead name servers (not those of lookups) then write into the freed memory. So it is called
//! only when no callback of the base waits for its turn; else it is tried again from the loop,
//! and at last when the event base itself goes.
//!
//! Owns: one `evdns_base` that no handle has any more. Lends to C: nothing.
//! Runs no user code.
#![allow(unsafe_code)]

use std::rc::{Rc, Weak};
use std::time::Duration;

use crate::{Event, base, ffi};

/// How long a busy loop is left alone between two tries.
const RETRY: Duration = Duration::from_millis(10);

/// Frees a DNS base as soon as that is possible; its lookups must have ended.
pub(super) fn close(base: &Rc<base::Inner>, raw: *mut ffi::evdns_base) {
    let closing = Closing {
        raw: Some(raw),
        base: Rc::downgrade(base),
    };
    if base.is_foreign() {
        base.adopt(Box::new(closing));
    } else if base.is_idle() {
        closing.finish();
    } else {
        closing.finish_in_the_loop(base);
    }
}

/// A DNS base that is to be freed. Dropped before that, it goes to the event base.
struct Closing {
    raw: Option<*mut ffi::evdns_base>,
    base: Weak<base::Inner>,
}

impl Closing {
    /// Frees it. No callback of the event base is waiting.
    fn finish(mut self) {
        if let Some(raw) = self.raw.take() {
            // SAFETY: made by `evdns_base_new`, freed only here. The event base outlives this
            // call, nothing that is scheduled on it knows `raw`, and what is not answered is
            // forgotten without a callback.
            unsafe { ffi::evdns_base_free(raw, 0) };
        }
    }

    /// Tries again behind whatever waits now: in this turn, then in later ones.
    fn finish_in_the_loop(self, base: &Rc<base::Inner>) {
        let (mut closing, mut last_in_turn) = (Some(self), true);
        let attempt = Event::timer_on("EventDnsBase", base, move |attempt| {
            let idle = attempt.0.base().is_idle();
            if let Some(closing) = closing.take_if(|_| idle) {
                closing.finish();
                return;
            }
            last_in_turn = !last_in_turn;
            let again = if last_in_turn {
                attempt.active(Event::TIMEOUT)
            } else {
                attempt.add(Some(RETRY))
            };
            again.ok(); // it fails in a forked child alone, where the base keeps us
        });
        if let Ok(attempt) = attempt {
            attempt.active(Event::TIMEOUT).ok();
            attempt.detach();
        }
    }
}

impl base::Orphan for Closing {
    fn free(mut self: Box<Self>, base: &base::Inner) {
        if base.is_idle() {
            self.finish();
        } else if let Some(base) = self.base.upgrade() {
            self.finish_in_the_loop(&base);
        } else {
            self.raw = None; // the base's last turns were not enough: better kept than crashed
        }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let (Some(raw), Some(base)) = (self.raw.take(), self.base.upgrade()) else {
            return;
        };
        let closing = Self {
            raw: Some(raw),
            base: Rc::downgrade(&base),
        };
        if !base.is_foreign() && base.is_idle() {
            closing.finish();
        } else {
            base.adopt(Box::new(closing));
        }
    }
}
