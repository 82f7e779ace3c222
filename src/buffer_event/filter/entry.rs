//! The entry points of a filter.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;

use super::State;
use crate::buffer::Side;
use crate::ffi;
use crate::flags::{FilterResult, FlushMode};
use crate::runtime::{guard, release, upgrade};

/// # Safety
/// Registered only by `create_filter`, with an `arg` lent for [`State`].
pub(super) unsafe extern "C" fn on_input(
    source: *mut ffi::evbuffer,
    destination: *mut ffi::evbuffer,
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: registered with an `arg` lent for `State`; the buffers are those of the filter and
    // of what is under it, and both outlive the call.
    unsafe { filter(Side::Input, [source, destination], limit, mode, arg) }
}

/// # Safety
/// Registered only by `create_filter`, with an `arg` lent for [`State`].
pub(super) unsafe extern "C" fn on_output(
    source: *mut ffi::evbuffer,
    destination: *mut ffi::evbuffer,
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: registered with an `arg` lent for `State`; the buffers are those of the filter and
    // of what is under it, and both outlive the call.
    unsafe { filter(Side::Output, [source, destination], limit, mode, arg) }
}

/// Runs one direction of a filter.
///
/// # Safety
/// `arg` is lent for [`State`], and the buffers live until this returns.
unsafe fn filter(
    side: Side,
    [source, destination]: [*mut ffi::evbuffer; 2],
    limit: isize,
    mode: ffi::bufferevent_flush_mode,
    arg: *mut c_void,
) -> ffi::bufferevent_filter_result {
    // SAFETY: libevent gives `arg` up with the filter, after this call.
    let Some(state) = (unsafe { upgrade::<State>(arg) }) else {
        return FilterResult::Error.to_c();
    };
    let (Some(owner), Some(source), Some(destination)) = (
        state.owner(),
        NonNull::new(source),
        NonNull::new(destination),
    ) else {
        return FilterResult::Error.to_c();
    };
    let base = owner.base();
    let result = Cell::new(FilterResult::NeedMore); // if a panic waits already
    let limit = usize::try_from(limit).ok();
    let panicked = guard(&base, || {
        let (stage, mode) = (state.stage(side), FlushMode::from_c(mode));
        // SAFETY: the caller keeps both buffers until this returns.
        result.set(unsafe { stage.run(source, destination, limit, mode) });
    });
    if panicked {
        result.set(FilterResult::Error);
    } else if result.get() == FilterResult::Error {
        State::fail(&owner, side);
    }
    release(&base, state);
    release(&base, owner);
    result.get().to_c()
}
