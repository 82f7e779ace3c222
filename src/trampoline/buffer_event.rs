//! The entry points of `EventBufferEvent`.
#![allow(unsafe_code)]

use std::ffi::{c_short, c_void};
use std::rc::Rc;

use nix::errno::Errno;

use super::{guard, panic_waits, release, upgrade};
use crate::flags::{BufferEventFlags, EventFlags};
use crate::{EventBufferEvent, buffer_event, ffi};

/// # Safety
/// Registered only by `buffer_event::Inner`, with an `arg` lent for it.
pub(crate) unsafe extern "C" fn on_bev_read(_bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: `buffer_event::Inner::release` has libevent forget `arg` before it is reclaimed.
    let Some(inner) = (unsafe { upgrade::<buffer_event::Inner>(arg) }) else {
        return;
    };
    run(
        inner,
        |inner| inner.run_later(EventFlags::READ),
        |this| {
            this.0.read.call(|f| f(this));
        },
    );
}

/// # Safety
/// Registered only by `buffer_event::Inner`, with an `arg` lent for it.
pub(crate) unsafe extern "C" fn on_bev_write(_bev: *mut ffi::bufferevent, arg: *mut c_void) {
    // SAFETY: `buffer_event::Inner::release` has libevent forget `arg` before it is reclaimed.
    let Some(inner) = (unsafe { upgrade::<buffer_event::Inner>(arg) }) else {
        return;
    };
    run(
        inner,
        |inner| inner.run_later(EventFlags::WRITE),
        |this| {
            this.0.write.call(|f| f(this));
        },
    );
}

/// # Safety
/// Registered only by `buffer_event::Inner`, with an `arg` lent for it.
pub(crate) unsafe extern "C" fn on_bev_event(
    _bev: *mut ffi::bufferevent,
    what: c_short,
    arg: *mut c_void,
) {
    let errno = Errno::last_raw(); // what the callback may ask for
    // SAFETY: `buffer_event::Inner::release` has libevent forget `arg` before it is reclaimed.
    let Some(inner) = (unsafe { upgrade::<buffer_event::Inner>(arg) }) else {
        return;
    };
    let what = BufferEventFlags::from_bits_retain(what);
    run(
        inner,
        |inner| inner.happen_later(what, errno),
        |this| {
            this.0.event.call(|f| {
                Errno::set_raw(errno);
                f(this, what);
            });
        },
    );
}

/// Runs a callback, or `later` where a panic is on its way: libevent would not call again
/// for what has happened.
fn run(
    inner: Rc<buffer_event::Inner>,
    later: impl FnOnce(&buffer_event::Inner),
    now: impl FnOnce(&EventBufferEvent),
) {
    let base = inner.base();
    let this = EventBufferEvent(inner); // may be the last handle: then it goes in `release`
    if panic_waits() {
        later(&this.0);
    } else {
        guard(&base, || now(&this));
    }
    release(&base, this);
}
