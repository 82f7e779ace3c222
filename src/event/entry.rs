//! The entry point of `Event`.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_short, c_void};
use std::rc::Rc;

use super::closure::Closure;
use super::{Event, Inner};
use crate::flags::EventFlags;
use crate::runtime::{guard, release, upgrade};

/// # Safety
/// Registered only by `Event`, with an `arg` lent for an `Inner` whose closure is a `C`.
pub(crate) unsafe extern "C" fn on_event<C: Closure + 'static>(
    _fd: c_int,
    what: c_short,
    arg: *mut c_void,
) {
    // SAFETY: `arg` is what `Inner::native` lends, and ends after its event.
    if let Some(inner) = unsafe { upgrade::<Inner<C>>(arg) } {
        fire(inner, EventFlags::from_bits_retain(what));
    }
}

/// One for each kind of closure, so that it is called directly.
fn fire<C: Closure + 'static>(inner: Rc<Inner<C>>, what: EventFlags) {
    let this = Event(inner);
    let base = this.0.base();
    // `this` may be the last handle: then the event goes in `release`.
    let panicked = guard(&base, || this.0.closure.call(&this, what));
    if panicked {
        delete(&this);
    }
    let kept = this.0.settle();
    if kept.is_none() && Rc::strong_count(&this.0) > 1 {
        return; // no destructor runs
    }
    release(&base, (kept, this));
}

/// As PHP: it would panic again in the next turn.
#[cold]
fn delete(event: &Event) {
    event.del().ok(); // freed is gone already
}
