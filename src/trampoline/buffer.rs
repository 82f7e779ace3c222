//! The entry points of `EventBuffer`. libevent calls them in the middle of its work on a
//! buffer, so no code of the user's runs in them.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::Arc;

use crate::buffer::files;
use crate::ffi;

/// Gives back a count of bytes that have left a buffer.
///
/// # Safety
/// Registered only with `evbuffer_add_reference`, for bytes from `Arc::into_raw`, whole.
pub(crate) unsafe extern "C" fn on_reference_free(
    data: *const c_void,
    length: usize,
    _extra: *mut c_void,
) {
    let bytes = ptr::slice_from_raw_parts(data.cast::<u8>(), length);
    // SAFETY: libevent kept the pointer and the length as it was given them, and calls once.
    drop(unsafe { Arc::from_raw(bytes) });
}

/// Notes that a file has left the buffer that `arg` is the address of.
pub(crate) unsafe extern "C" fn on_file_free(
    _segment: *const ffi::evbuffer_file_segment,
    _flags: c_int,
    arg: *mut c_void,
) {
    files::leave(arg.addr());
}

/// Stands in for what a buffer event hangs on its buffers: runs a test's closure.
///
/// # Safety
/// Registered only with an `arg` that points to a `Box<dyn Fn()>`, which outlives the buffer.
#[cfg(test)]
pub(crate) unsafe extern "C" fn on_change(
    _buffer: *mut ffi::evbuffer,
    _info: *const ffi::evbuffer_cb_info,
    arg: *mut c_void,
) {
    // SAFETY: the test's duty.
    let closure = unsafe { &*arg.cast_const().cast::<Box<dyn Fn()>>() };
    closure();
}
