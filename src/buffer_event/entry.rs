//! The entry points of `EventBufferEvent`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_short, c_void};
use std::rc::Rc;

use nix::errno::Errno;

use super::{EventBufferEvent, Inner};
use crate::ffi;
use crate::flags::{BufferEventFlags, EventFlags};
use crate::runtime::{Called, failure_waits, guard, release, upgrade};

/// # Safety
/// Registered only by [`Inner::arm`], with an `arg` lent for `Inner`.
pub(super) unsafe extern "C" fn on_read(_bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: what lends `arg` is dropped after the buffer event has been freed.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    run(
        inner,
        |inner| inner.run_later(EventFlags::READ),
        EventBufferEvent::call_read,
    );
}

/// # Safety
/// Registered only by [`Inner::arm`], with an `arg` lent for `Inner`.
pub(super) unsafe extern "C" fn on_write(_bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: what lends `arg` is dropped after the buffer event has been freed.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    run(
        inner,
        |inner| inner.run_later(EventFlags::WRITE),
        EventBufferEvent::call_write,
    );
}

/// # Safety
/// Registered only by [`Inner::arm`], with an `arg` lent for `Inner`.
pub(super) unsafe extern "C" fn on_event(
    _bev: *mut ffi::bufferevent,
    what: c_short,
    arg: *mut c_void,
) {
    let errno = Errno::last_raw(); // the callback may ask for it
    // SAFETY: what lends `arg` is dropped after the buffer event has been freed.
    let Some(inner) = (unsafe { upgrade::<Inner>(arg) }) else {
        return;
    };
    let Some(what) = inner.what_happened(BufferEventFlags::from_bits_retain(what)) else {
        return release(&inner.base(), EventBufferEvent(inner));
    };
    run(
        inner,
        |inner| inner.happen_later(what, errno),
        |this| this.call_event(what, errno),
    );
}

/// Runs a callback now; or later, when a failure waits for its caller, or the closure is running
/// and has itself caused the call. libevent would not call again for what has happened.
fn run(
    inner: Rc<Inner>,
    later: impl FnOnce(&Inner),
    now: impl FnOnce(&EventBufferEvent) -> Called,
) {
    let this = EventBufferEvent(inner);
    let called = Cell::new(Called::Ran);
    if failure_waits() {
        called.set(Called::Busy);
    } else {
        guard(&this.0.base, || called.set(now(&this)));
    }
    if called.get() == Called::Busy {
        later(&this.0);
    }
    if Rc::strong_count(&this.0) == 1 {
        release(&this.0.base(), this); // the last handle, which ends in there
    } // else no destructor runs
}
