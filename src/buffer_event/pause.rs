//! The rest of a buffer event whose read callback leaves the input full.
//!
//! libevent calls a read callback that leaves the read high mark met again and again, in one
//! turn: the loop would not come back, nor call anything else. It does not while `READ` is
//! disabled. So we disable it in C, and an event of ours enables it: in the next turn for a
//! callback of the user's, and for a filter on top when something has been taken out.
//!
//! A TLS filter that has taken in many records on one stack rests for a turn, too.
//!
//! Owns: that event, made when it is first needed. Lends C nothing of its own.
//! Runs user code: closures of a filter, when the event has it read again.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::EventBufferEvent;
use super::carrier::Kind;
use crate::Event;
use crate::error::Result;
use crate::flags::{EventFlags, FlushMode};

/// Whether `READ` is disabled in C though it is enabled for the user.
#[derive(Default)]
pub(super) struct Pause {
    event: RefCell<Option<Event>>,
    is_on: Cell<bool>,
}

impl Pause {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Gives `READ` back to C's flag; gives back the event, to be dropped when nothing is
    /// borrowed.
    #[must_use]
    pub(super) fn end(&self) -> Option<Event> {
        self.is_on.set(false);
        self.event.take()
    }
}

impl EventBufferEvent {
    /// After a read callback: has it rest until the next turn if the input is still full.
    #[inline]
    pub(super) fn pause_if_full(&self) {
        if self.0.is_full() {
            // A filter on top has it go on when something has been taken out.
            self.pause(!self.0.covered.get());
        }
    }

    /// Has it rest until the next turn, full or not.
    pub(super) fn pause_for_a_turn(&self) {
        self.pause(true);
    }

    fn pause(&self, goes_on: bool) {
        const CALL: &str = "EventBufferEvent::read";
        let Ok(view) = self.0.usable(CALL) else {
            return;
        };
        if !view.enabled().contains(EventFlags::READ) || self.0.kind() == Kind::View {
            return;
        }
        if !goes_on || self.read_again_later(CALL).is_ok() {
            self.0.pause.is_on.set(true);
            view.disable(CALL, EventFlags::READ).ok();
        } // else libevent goes on in this turn
    }

    /// The filter on top is gone. If the input rests, the user's callback is called again. Otherwise
    /// what waits below is fetched.
    pub(super) fn go_on_uncovered(&self) {
        #[cfg(feature = "openssl")]
        {
            self.restore_low_mark();
            self.0.tell_late_end();
        }
        if self.0.pause.is_on() {
            self.read_again_later("").ok();
        } else {
            self.use_room();
        }
    }

    /// Has it read on in the next turn: what is in C, and what waits under a filter.
    pub(super) fn read_again_later(&self, call: &'static str) -> Result<()> {
        let present = self.0.pause.event.borrow().clone();
        let event = match present {
            Some(event) => event,
            None => {
                let weak = Rc::downgrade(&self.0);
                let event = Event::timer_on(call, &self.0.base(), move |_event| {
                    if let Some(inner) = weak.upgrade() {
                        Self(inner).go_on_reading();
                    }
                })?;
                self.0.pause.event.replace(Some(event.clone()));
                event
            }
        };
        event.add(Some(Duration::ZERO))
    }

    /// The next turn: reads again. After a rest it calls back if the input is full even so.
    fn go_on_reading(&self) {
        const CALL: &str = "EventBufferEvent::read";
        if self.0.covered.get() && self.0.is_full() {
            return; // what was taken out has been put back
        }
        let was_paused = self.0.pause.is_on.replace(false);
        if was_paused {
            self.enable_in_c(CALL, EventFlags::READ).ok();
        }
        if self.0.kind() == Kind::Filter {
            self.push(CALL, EventFlags::READ, FlushMode::Normal).ok();
        }
        if was_paused && self.0.is_full() {
            self.0.run_later(EventFlags::READ);
        }
    }
}
