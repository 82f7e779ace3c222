//! The closures of a filter, and the buffers that they get.
//!
//! Owns: the closures. Lends C nothing here. Runs user code: the closures, in [`Stage::run`].
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};

use super::super::Inner;
use super::tally::{Tally, begin_change, end_change};
use crate::buffer::{EventBuffer, Lender, Side};
use crate::error::{Error, Result};
use crate::flags::{BufferEventFlags, EventFlags, FilterResult, FlushMode};
use crate::native::evbuffer::{Access, BufferView, PassedBuffer};
use crate::runtime::{Ending, Slot};
use crate::{base, ffi};

pub(super) type Transform =
    dyn FnMut(&EventBuffer, &EventBuffer, Option<usize>, FlushMode) -> FilterResult;

/// What C's filter calls lead to.
pub(in super::super) struct State {
    owner: RefCell<Weak<Inner>>, // the filter
    input: Stage,
    output: Stage,
}

/// One direction.
pub(super) struct Stage {
    f: Slot<Transform>,
    window: Rc<Window>,
    source: EventBuffer, // lent by `window`, as the next
    destination: EventBuffer,
    idle: Cell<Option<(usize, FlushMode)>>, // what was left when the closure last took none
}

/// The buffers of a running call; none outside of it.
struct Window {
    source: PassedBuffer,
    destination: PassedBuffer,
    tally: Tally,
    base: Rc<base::Inner>,
}

impl Lender for Window {
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let passed = match side {
            Side::Input => &self.source,
            Side::Output => &self.destination,
        };
        let freed = Error::Freed {
            call,
            object: "filter's buffer",
        };
        let view = passed.view(call).ok_or(freed)?;
        self.base.usable(call)?;
        Ok(view)
    }

    fn view_to_change(
        &self,
        call: &'static str,
        side: Side,
    ) -> Result<(BufferView<'_>, Option<&base::Inner>)> {
        let view = self.view(call, side)?;
        if side == Side::Input {
            begin_change(&view);
        }
        Ok((view, Some(&self.base)))
    }

    fn changed(&self, side: Side) {
        if side == Side::Input {
            end_change();
        }
    }

    fn calls_back(&self) -> bool {
        true
    }
}

impl Stage {
    pub(super) fn new(f: Option<Box<Transform>>, base: &Rc<base::Inner>) -> Self {
        let window = Rc::new(Window {
            source: PassedBuffer::default(),
            destination: PassedBuffer::default(),
            tally: Tally::default(),
            base: Rc::clone(base),
        });
        let slot = Slot::empty();
        drop(slot.set(f)); // it was empty
        Self {
            f: slot,
            source: EventBuffer::lent(Rc::clone(&window) as _, Side::Input),
            destination: EventBuffer::lent(Rc::clone(&window) as _, Side::Output),
            window,
            idle: Cell::new(None),
        }
    }

    /// Runs the closure on C's buffers. A closure that is running is not entered again.
    ///
    /// # Safety
    /// Both buffers live until this returns.
    pub(super) unsafe fn run(
        &self,
        source: NonNull<ffi::evbuffer>,
        destination: NonNull<ffi::evbuffer>,
        limit: Option<usize>,
        mode: FlushMode,
    ) -> FilterResult {
        // SAFETY: the caller keeps the buffer until this returns.
        let view = unsafe { BufferView::new(source, Access::Lent, "") };
        let before = view.length();
        let idle = self.idle.take();
        if before > 0 && idle == Some((before, mode)) {
            // libevent calls until nothing is left; nothing changed. The next flush may ask again.
            self.idle.set(idle.filter(|_| mode == FlushMode::Normal));
            return FilterResult::NeedMore;
        }
        let mut result = FilterResult::NeedMore;
        let _ = self.f.call(|f| {
            // SAFETY: the caller keeps the buffer until this returns.
            let _source = unsafe { self.window.source.hold(source) };
            // SAFETY: the caller keeps the buffer until this returns.
            let _destination = unsafe { self.window.destination.hold(destination) };
            let _counting = self.window.tally.count(&view);
            result = f(&self.source, &self.destination, limit, mode);
        });
        let after = view.length();
        if result == FilterResult::Ok && after >= before && self.window.tally.took_nothing() {
            self.idle.set(Some((after, mode)));
        }
        result
    }
}

impl Drop for State {
    fn drop(&mut self) {
        let mut ending = Ending::default();
        ending.drop(self.input.f.set(None));
        ending.drop(self.output.f.set(None));
        ending.finish();
    }
}

impl State {
    pub(super) fn new(input: Stage, output: Stage) -> Self {
        Self {
            owner: RefCell::default(),
            input,
            output,
        }
    }

    pub(super) fn set_owner(&self, owner: &Rc<Inner>) {
        self.owner.replace(Rc::downgrade(owner));
    }

    pub(super) fn owner(&self) -> Option<Rc<Inner>> {
        self.owner.borrow().upgrade()
    }

    pub(super) fn stage(&self, side: Side) -> &Stage {
        match side {
            Side::Input => &self.input,
            Side::Output => &self.output,
        }
    }

    /// The closure failed: its direction ends, as on a socket error.
    pub(super) fn fail(owner: &Inner, side: Side) {
        let (what, direction) = match side {
            Side::Input => (BufferEventFlags::READING, EventFlags::READ),
            Side::Output => (BufferEventFlags::WRITING, EventFlags::WRITE),
        };
        let Ok(view) = owner.usable("") else { return };
        view.disable("", direction).ok();
        owner.happen_later(what | BufferEventFlags::ERROR, libc::EPROTO);
    }
}
