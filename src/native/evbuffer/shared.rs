//! Bytes that a buffer holds without a copy.
//!
//! Lends C one count of the bytes for each time that they are added.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use super::{BufferView, End};
use crate::ffi;
use crate::runtime::error::{Result, cvt};

impl BufferView<'_> {
    /// Adds the bytes themselves, which stay alive until they have left the last buffer. Runs
    /// the callbacks of the buffer.
    pub(crate) fn add_reference(self, bytes: Arc<[u8]>) -> Result<()> {
        self.unfrozen(End::Back)?;
        let (length, bytes) = (bytes.len(), Arc::into_raw(bytes));
        let (data, free) = (bytes.cast(), Some(on_reference_free as _));
        // SAFETY: `new`'s caller keeps the buffer. libevent never writes to such bytes, and
        // `on_reference_free` gets back the pointer and the length that are given here, once.
        let rc =
            unsafe { ffi::evbuffer_add_reference(self.raw(), data, length, free, ptr::null_mut()) };
        if rc == -1 {
            // SAFETY: made above, and libevent has not taken it.
            drop(unsafe { Arc::from_raw(bytes) });
        }
        cvt(self.call, rc).map(drop)
    }
}

/// Gives back a count of bytes that have left a buffer.
///
/// # Safety
/// Registered only by [`BufferView::add_reference`], for bytes from `Arc::into_raw`, whole.
unsafe extern "C" fn on_reference_free(data: *const c_void, length: usize, _extra: *mut c_void) {
    let bytes = ptr::slice_from_raw_parts(data.cast::<u8>(), length);
    // SAFETY: libevent kept the pointer and the length that it was given, and calls once.
    drop(unsafe { Arc::from_raw(bytes) });
}
