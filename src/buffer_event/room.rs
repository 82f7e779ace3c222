//! Reading on when an input with a read high mark has room.
//!
//! When a read high mark keeps bytes below a filter, libevent fetches them later only if the mark is
//! still met after the read callback. And a buffer event that rests (see [`pause`](super::pause)) has
//! `READ` disabled in C. So a callback on the input makes both read on when bytes leave it. It also tells
//! the end that waited for those bytes (see [`relay`](super::relay)).
//!
//! The same callback bounds a recursion of libevent's: below a read high mark, each record that a TLS
//! filter takes in enables `READ` again, which takes in the next record, on the same stack.
//!
//! Owns nothing. Lends C, for the callback, the weak count that the other callbacks have, until the
//! buffer event ends. Runs no user code: reading on is left to the next turn.
#![allow(unsafe_code)]

use std::ffi::c_void;

use super::carrier::Kind;
use super::{EventBufferEvent, Inner};
use crate::error::Result;
use crate::ffi;
use crate::flags::EventFlags;
use crate::runtime::upgrade;

/// How many records a TLS filter with a read high mark takes in before it rests for a turn: the most
/// that there are on one stack.
const RECORDS_MAX: usize = 64;

impl Inner {
    /// Before a read high mark is set: has changes of the input noticed.
    pub(super) fn watch_input(&self, call: &'static str) -> Result<()> {
        if self.settings.watches_input.get() {
            return Ok(());
        }
        if is_recursive(self.kind()) {
            self.add_mark_callback(call)?;
        }
        // SAFETY: the entry point takes its argument for an `Inner`.
        unsafe { self.place.watch_input(call, on_input_change) }?;
        self.settings.watches_input.set(true);
        Ok(())
    }

    /// Has libevent add its callback for the mark before ours: what was added last is called first.
    /// It takes nothing in while `READ` is disabled.
    fn add_mark_callback(&self, call: &'static str) -> Result<()> {
        let view = self.usable(call)?;
        let (low, reads) = (view.read_low_mark(), view.enabled() & EventFlags::READ);
        view.disable(call, reads)?;
        for high in [usize::MAX, 0] {
            self.usable(call)?
                .set_watermark(EventFlags::READ, low, high);
        }
        self.usable(call)?.enable(call, reads)
    }
}

/// Whether libevent's callback for a read high mark takes in the next record.
fn is_recursive(kind: Kind) -> bool {
    #[cfg(feature = "openssl")]
    if kind == Kind::TlsFilter {
        return true;
    }
    _ = kind;
    false
}

impl EventBufferEvent {
    /// Has what waits read in the next turn, if there is room now.
    pub(super) fn use_room(&self) {
        if self.0.is_full() {
            return;
        }
        let waits_below = || self.0.kind() == Kind::Filter && self.has_input();
        if self.0.pause.is_on() || waits_below() {
            self.read_again_later("").ok(); // fails only when out of memory
        }
        #[cfg(feature = "openssl")]
        self.bottom().0.take_pending();
    }

    /// After bytes have come in: rests if that were many records.
    fn count_record(&self) {
        if !is_recursive(self.0.kind()) {
            return;
        }
        let records = self.0.settings.records.get() + 1;
        self.0.settings.records.set(records % RECORDS_MAX);
        if records == RECORDS_MAX {
            self.pause_for_a_turn();
        }
    }
}

/// # Safety
/// Registered only by [`Inner::watch_input`], with an `arg` lent for [`Inner`].
pub(super) unsafe extern "C" fn on_input_change(
    _input: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent passes a record that lives until this returns.
    let info = unsafe { &*info };
    // SAFETY: `arg` is lent for `Inner` until the buffer event has been freed, and the input is
    // not watched any more before.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    let this = EventBufferEvent(inner);
    if info.n_added > 0 {
        this.count_record();
    }
    if info.n_deleted > 0 {
        this.use_room();
        #[cfg(feature = "openssl")]
        this.0.tell_late_end_if_read();
    }
    // This was not the last count: nothing runs here that could drop the others.
}
