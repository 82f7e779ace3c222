//! The entry points of `EventBufferEvent`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_short, c_void};
use std::ptr::NonNull;
use std::rc::Rc;

use nix::errno::Errno;

use super::{guard, panic_waits, release, upgrade};
use crate::buffer::Side;
use crate::buffer_event::{self, FilterState};
use crate::flags::{BufferEventFlags, EventFlags, FilterResult, FlushMode};
use crate::runtime::Called;
use crate::{EventBufferEvent, ffi};

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
            let called = match this.0.is_stale() {
                true => Called::Ran,
                false => this.0.read.call(|f| f(this)),
            };
            this.refill();
            called
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
        |this| this.0.write.call(|f| f(this)),
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
    #[cfg(feature = "openssl")]
    let Some(what) = inner.translate(what) else {
        return release(&inner.base(), EventBufferEvent(inner));
    };
    run(
        inner,
        |inner| inner.happen_later(what, errno),
        |this| {
            #[cfg(feature = "openssl")]
            this.0.write_on(what);
            this.0.event.call(|f| {
                Errno::set_raw(errno);
                f(this, what);
            })
        },
    );
}

/// Runs a callback now, or later: when a panic is on its way, and when the closure itself
/// caused the call and is running. libevent would not call again for what has happened.
fn run(
    inner: Rc<buffer_event::Inner>,
    later: impl FnOnce(&buffer_event::Inner),
    now: impl FnOnce(&EventBufferEvent) -> Called,
) {
    let base = inner.base();
    let this = EventBufferEvent(inner); // may be the last handle: then it goes in `release`
    let called = Cell::new(Called::Busy);
    if !panic_waits() {
        called.set(Called::Ran); // a panic of the closure's own is no reason to call it again
        guard(&base, || called.set(now(&this)));
    }
    if called.get() == Called::Busy {
        later(&this.0);
    }
    release(&base, this);
}

/// # Safety
/// Registered only by `create_filter`, with an `arg` lent for `FilterState`.
pub(crate) unsafe extern "C" fn on_filter_input(
    source: *mut ffi::evbuffer,
    destination: *mut ffi::evbuffer,
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: this function's own duty; libevent's buffers outlive its call.
    unsafe { filter(Side::Input, source, destination, limit, mode, arg) }
}

/// # Safety
/// Registered only by `create_filter`, with an `arg` lent for `FilterState`.
pub(crate) unsafe extern "C" fn on_filter_output(
    source: *mut ffi::evbuffer,
    destination: *mut ffi::evbuffer,
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: this function's own duty; libevent's buffers outlive its call.
    unsafe { filter(Side::Output, source, destination, limit, mode, arg) }
}

/// Runs one direction of a filter.
///
/// # Safety
/// `arg` is lent for `FilterState`, and the buffers live until this returns.
unsafe fn filter(
    side: Side,
    source: *mut ffi::evbuffer,
    destination: *mut ffi::evbuffer,
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: `arg` is lent for `FilterState` until libevent ends the filter, after this call.
    let Some(state) = (unsafe { upgrade::<FilterState>(arg) }) else {
        return FilterResult::Error.to_c();
    };
    let Some(owner) = state.owner() else {
        return FilterResult::Error.to_c();
    };
    let base = owner.base();
    let (Some(source), Some(destination)) = (NonNull::new(source), NonNull::new(destination))
    else {
        return FilterResult::Error.to_c();
    };
    let result = Cell::new(FilterResult::NeedMore); // where a panic is on its way already
    let limit = usize::try_from(limit).ok();
    let panicked = guard(&base, || {
        let (stage, mode) = (state.stage(side), FlushMode::from_c(mode));
        // SAFETY: the caller keeps both buffers until this returns.
        result.set(unsafe { stage.run(source, destination, limit, mode) });
    });
    if panicked {
        result.set(FilterResult::Error);
    } else if result.get() == FilterResult::Error {
        FilterState::fail(&owner, side);
    }
    release(&base, (state, owner));
    result.get().to_c()
}
