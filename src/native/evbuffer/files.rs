//! Which buffers hold files that libevent sends itself.
//!
//! Owns: the count of files in each buffer of this thread, by the buffer's address.
//! Lends C that address, as a number, with each file.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::fs::File;
use std::mem::{self, ManuallyDrop};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{BufferView, End};
use crate::ffi;
use crate::runtime::error::{Result, cvt, cvt_p};

thread_local! {
    // Not dropped with its thread, at whose end destructors may still use buffers. An empty
    // map has no memory.
    static FILES: ManuallyDrop<RefCell<BTreeMap<usize, usize>>> =
        const { ManuallyDrop::new(RefCell::new(BTreeMap::new())) };
}

/// Whether any thread has ever put a file into a buffer. Few programs do, and asking a variable of
/// the thread's takes longer.
static ANY: AtomicBool = AtomicBool::new(false);

/// Notes that a file comes into the buffer.
fn enter(buffer: usize) {
    ANY.store(true, Ordering::Relaxed);
    FILES.with(|files| *files.borrow_mut().entry(buffer).or_default() += 1);
}

/// Notes that a file has left the buffer, or that the buffer has ended.
fn leave(buffer: usize) {
    FILES.with(|files| {
        let mut files = files.borrow_mut();
        let Some(count) = files.get_mut(&buffer) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            files.remove(&buffer);
        }
        if files.is_empty() {
            drop(mem::take(&mut *files)); // a map that was in use keeps memory
        }
    });
}

/// Whether files are in the buffer.
#[inline]
pub(super) fn are_in(buffer: usize) -> bool {
    // Relaxed: a thread sees its own store, and has no file of another's.
    ANY.load(Ordering::Relaxed) && FILES.with(|files| files.borrow().contains_key(&buffer))
}

/// How many buffers of this thread hold files.
#[cfg(test)]
pub(crate) fn buffers_with_files() -> usize {
    FILES.with(|files| files.borrow().len())
}

impl BufferView<'_> {
    /// Adds a part of a file to a buffer that libevent writes to a descriptor itself. Runs the
    /// callbacks of the buffer.
    pub(crate) fn add_file(self, file: File, offset: i64, length: i64) -> Result<()> {
        self.unfrozen(End::Back)?;
        let flags = ffi::EVBUF_FS_CLOSE_ON_FREE
            | ffi::EVBUF_FS_DISABLE_MMAP
            | ffi::EVBUF_FS_DISABLE_LOCKING;
        // SAFETY: takes the number of a descriptor that `file` keeps open. The file is not
        // mapped into memory, where one that becomes shorter would end the process.
        let segment =
            unsafe { ffi::evbuffer_file_segment_new(file.as_raw_fd(), offset, length, flags) };
        let segment = cvt_p(self.call, segment)?;
        let _closed_with_the_segment = file.into_raw_fd();
        let here = self.raw.addr().get();
        enter(here);
        let arg = ptr::without_provenance_mut(here);
        // SAFETY: `segment` was made above; `on_file_free` takes `arg` for a number.
        unsafe { ffi::evbuffer_file_segment_add_cleanup_cb(segment, Some(on_file_free), arg) };
        // SAFETY: `new`'s caller keeps the buffer. A failure frees the segment.
        let rc = unsafe { ffi::evbuffer_add_file_segment(self.raw(), segment, 0, length) };
        if rc == 0 {
            // SAFETY: gives up the count that making it gave; the buffer has its own.
            unsafe { ffi::evbuffer_file_segment_free(segment) };
        }
        cvt(self.call, rc).map(drop)
    }
}

/// Notes that a file has left the buffer that `arg` is the address of.
unsafe extern "C" fn on_file_free(
    _segment: *const ffi::evbuffer_file_segment,
    _flags: c_int,
    arg: *mut c_void,
) {
    leave(arg.addr());
}
