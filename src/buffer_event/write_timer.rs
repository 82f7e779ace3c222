//! The write timeout of a buffer event that has no socket of its own: a filter, or a half of a pair.
//!
//! libevent starts its own when `WRITE` is enabled or the times are set, even if no output waits. It
//! keeps running after all output was taken, and restarts when bytes come *in*. So libevent gets no
//! write timeout here: a timer of ours runs instead, and a callback on the output starts and stops
//! it.
//!
//! Owns: that timer, made with the first write timeout. Lends C, for the callback, the weak count
//! that the other callbacks have, until the buffer event ends.
//! Runs no user code.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;

use super::{EventBufferEvent, Inner};
use crate::error::Result;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::native::evbuffer::Access;
use crate::runtime::upgrade;
use crate::{Event, ffi};

/// The timer that runs while the output of a buffer event without a socket waits.
#[derive(Default)]
pub(super) struct WriteTimer(RefCell<Option<Event>>);

impl WriteTimer {
    /// Gives the timer back, to be dropped when nothing is borrowed.
    #[must_use]
    pub(super) fn end(&self) -> Option<Event> {
        self.0.take()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.event().is_some_and(|timer| timer.is_pending())
    }

    fn event(&self) -> Option<Event> {
        self.0.borrow().clone()
    }
}

impl Inner {
    /// Has the write timer follow the output, of a buffer event without a socket.
    fn watch_output(&self, call: &'static str) -> Result<()> {
        if !self.kind().counts_output() {
            return Ok(());
        }
        // SAFETY: the entry point takes its argument for an `Inner`.
        unsafe { self.place.watch_output(call, on_output_change) }
    }

    /// Starts the write timer if output waits, and stops it otherwise.
    pub(super) fn restart_write_timer(&self) {
        let Some(timer) = self.write_timer.event() else {
            return;
        };
        let time = self.settings.write_timeout.get();
        // Both fail only when out of memory.
        match time.filter(|_| self.waits_to_write()) {
            Some(time) => timer.add(Some(time)).ok(),
            None => timer.del().ok(),
        };
    }

    fn waits_to_write(&self) -> bool {
        self.usable("").is_ok_and(|view| {
            view.enabled().contains(EventFlags::WRITE)
                && view.output(Access::Output, "").length() > 0
        })
    }

    /// Bytes were added to the output, or taken out of it.
    fn output_changed(&self, was_taken: bool) {
        if was_taken
            || self
                .write_timer
                .event()
                .is_some_and(|timer| !timer.is_pending())
        {
            self.restart_write_timer();
        }
    }
}

impl EventBufferEvent {
    /// The write timeout was set.
    pub(super) fn time_output(&self, call: &'static str) -> Result<()> {
        let is_timed = self.0.settings.write_timeout.get().is_some();
        if is_timed && self.0.write_timer.event().is_none() {
            let weak = Rc::downgrade(&self.0);
            let timer = Event::timer_on(call, &self.0.base(), move |_timer| {
                if let Some(inner) = weak.upgrade() {
                    Self(inner).output_timed_out();
                }
            })?;
            self.0.watch_output(call)?;
            self.0.write_timer.0.replace(Some(timer)); // none was there
        }
        self.0.restart_write_timer();
        Ok(())
    }

    fn output_timed_out(&self) {
        if self.0.waits_to_write()
            && let Ok(view) = self.0.usable("")
        {
            view.disable("", EventFlags::WRITE).ok(); // it stops timers, and lets what is below a TLS filter read
            let what = BufferEventFlags::WRITING | BufferEventFlags::TIMEOUT;
            self.0.happen_later(what, 0);
        }
    }
}

/// # Safety
/// Registered only by [`Inner::watch_output`], with an `arg` lent for [`Inner`].
pub(super) unsafe extern "C" fn on_output_change(
    _output: *mut ffi::evbuffer,
    info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: `arg` is lent for `Inner` until the buffer event has been freed, and the output is
    // not watched any more before.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    // SAFETY: libevent passes a record that lives until this returns.
    let was_taken = unsafe { (*info).n_deleted } > 0;
    inner.output_changed(was_taken);
    // `inner` is not the last count: nothing runs here that could drop the others.
}
