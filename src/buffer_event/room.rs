//! Reading on when an input with a read high mark has room.
//!
//! When a read high mark keeps bytes below a filter, libevent fetches them later only if the mark is
//! still met after the read callback. And a buffer event that rests (see [`pause`](super::pause)) has
//! `READ` disabled in C. So a callback on the input makes both read on when bytes leave it.
//!
//! Owns nothing. Lends C, for the callback, the weak count that the other callbacks have, until the
//! buffer event ends. Runs no user code: reading on is left to the next turn.
#![allow(unsafe_code)]

use std::ffi::c_void;

use super::carrier::Kind;
use super::{EventBufferEvent, Inner};
use crate::error::Result;
use crate::ffi;
use crate::runtime::upgrade;

impl Inner {
    /// Before a read high mark is set: has what leaves the input noticed.
    pub(super) fn watch_input(&self, call: &'static str) -> Result<()> {
        if !self.settings.watches_input.get() {
            // SAFETY: the entry point takes its argument for an `Inner`.
            unsafe { self.place.watch_input(call, on_input_change) }?;
            self.settings.watches_input.set(true);
        }
        Ok(())
    }
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
}

/// # Safety
/// Registered only by [`Inner::watch_input`], with an `arg` lent for [`Inner`].
pub(super) unsafe extern "C" fn on_input_change(
    _input: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: libevent passes a record that lives until this returns.
    if unsafe { (*info).n_deleted } == 0 {
        return;
    }
    // SAFETY: `arg` is lent for `Inner` until the buffer event has been freed, and the input is
    // not watched any more before.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    EventBufferEvent(inner).use_room();
    // This was not the last count: nothing runs here that could drop the others.
}
