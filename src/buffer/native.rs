//! The one place that calls libevent on an `evbuffer`.
//!
//! Owns: nothing. Lent to C: counted bytes and files, each with a function of `trampoline`
//! that takes it back when it has left the last buffer.
//! Runs user code: a change of a lent buffer may, as the last thing it does. Such calls take
//! the [`Native`] away, so that nothing is done with it afterwards; what moves bytes about
//! borrows it alone, so that none are in hand meanwhile.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};
use std::ptr;
use std::sync::Arc;

use super::End;
use super::shared::files;
use crate::error::{Error, Result, cvt, cvt_p};
use crate::flags::EolStyle;
use crate::{ffi, trampoline};

/// An `evbuffer` for the length of one call.
pub(super) struct Native<'a> {
    raw: *mut ffi::evbuffer,
    lent: bool,
    call: &'static str,
    _call: PhantomData<&'a ()>,
}

impl Native<'_> {
    /// # Safety
    /// `raw` is not freed while this lives. What a callback of the buffer frees is not meant:
    /// nothing is done after it has run.
    pub(super) unsafe fn new(raw: *mut ffi::evbuffer, lent: bool, call: &'static str) -> Self {
        Self {
            raw,
            lent,
            call,
            _call: PhantomData,
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.raw == other.raw
    }

    pub(super) fn length(&self) -> usize {
        // SAFETY: `new`'s caller keeps the buffer.
        unsafe { ffi::evbuffer_get_length(self.raw) }
    }

    pub(super) fn first_chunk(&self) -> usize {
        // SAFETY: `new`'s caller keeps the buffer.
        unsafe { ffi::evbuffer_get_contiguous_space(self.raw) }
    }

    /// The error of a call that needs a frozen end.
    pub(super) fn frozen(&self, end: End) -> Error {
        Error::State {
            call: self.call,
            reason: match (end, self.lent) {
                (End::Front, false) => {
                    "the front of the buffer is frozen; call unfreeze(true) first"
                }
                (End::Back, false) => "the end of the buffer is frozen; call unfreeze(false) first",
                (End::Front, true) => {
                    "libevent takes the bytes from the front of this buffer; add to its end"
                }
                (End::Back, true) => {
                    "libevent adds the bytes at the end of this buffer; take from its front"
                }
            },
        }
    }

    /// Refuses a frozen end. Whether the front of an empty buffer is, C does not tell.
    pub(super) fn unfrozen(&self, end: End) -> Result<()> {
        let rc = match end {
            // SAFETY: `new`'s caller keeps the buffer; draining nothing only asks.
            End::Front => unsafe { ffi::evbuffer_drain(self.raw, 0) },
            // SAFETY: `new`'s caller keeps the buffer; committing nothing only asks, and
            // looks at no vector.
            End::Back => unsafe { ffi::evbuffer_commit_space(self.raw, ptr::null_mut(), 0) },
        };
        if rc == -1 {
            Err(self.frozen(end))
        } else {
            Ok(())
        }
    }

    pub(super) fn set_frozen(&self, end: End, frozen: bool) {
        let front = c_int::from(end == End::Front);
        if frozen {
            // SAFETY: `new`'s caller keeps the buffer.
            unsafe { ffi::evbuffer_freeze(self.raw, front) };
        } else {
            // SAFETY: `new`'s caller keeps the buffer.
            unsafe { ffi::evbuffer_unfreeze(self.raw, front) };
        }
    }

    pub(super) fn expand(&mut self, length: usize) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer; only room is made, no callback runs.
        cvt(self.call, unsafe { ffi::evbuffer_expand(self.raw, length) }).map(drop)
    }

    /// Makes the first `length` bytes one chunk; the buffer has that many.
    pub(super) fn pullup(&mut self, length: usize) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer; what is there stays there, no callback runs.
        let bytes = unsafe { ffi::evbuffer_pullup(self.raw, length.cast_signed()) };
        cvt_p(self.call, bytes).map(drop)
    }

    /// The bytes from `start` on, as they lie in memory, and no empty piece among them.
    pub(super) fn chunks(&self, start: usize) -> Chunks<'_> {
        Chunks {
            buffer: self,
            at: self.position(start),
        }
    }

    fn position(&self, at: usize) -> ffi::evbuffer_ptr {
        let mut position = ffi::evbuffer_ptr {
            pos: -1,
            internal_: ffi::evbuffer_ptr__bindgen_ty_1 {
                chain: ptr::null_mut(),
                pos_in_chain: 0,
            },
        };
        let how = ffi::evbuffer_ptr_how_EVBUFFER_PTR_SET;
        // SAFETY: `new`'s caller keeps the buffer; past the end the position is nowhere,
        // where nothing is found.
        unsafe { ffi::evbuffer_ptr_set(self.raw, &mut position, at, how) };
        position
    }

    /// Where `what`, which is not empty, lies wholly between `start` and `end`, if both are
    /// inside the buffer.
    pub(super) fn search(&self, what: &[u8], start: usize, end: usize) -> Option<usize> {
        let (start, end) = (self.position(start), self.position(end));
        // SAFETY: `new`'s caller keeps the buffer, which has not changed since it gave the
        // positions; `what` is only read.
        let found = unsafe {
            ffi::evbuffer_search_range(self.raw, what.as_ptr().cast(), what.len(), &start, &end)
        };
        usize::try_from(found.pos).ok()
    }

    /// Where the line that begins at `start` ends, and how long its end is.
    pub(super) fn search_eol(&self, start: usize, style: EolStyle) -> Option<(usize, usize)> {
        let (mut start, mut length) = (self.position(start), 0);
        // SAFETY: `new`'s caller keeps the buffer, which has not changed since it gave the
        // position.
        let found =
            unsafe { ffi::evbuffer_search_eol(self.raw, &mut start, &mut length, style as u32) };
        Some((usize::try_from(found.pos).ok()?, length))
    }

    pub(super) fn add(self, data: &[u8]) -> Result<()> {
        self.unfrozen(End::Back)?;
        if self.lent && files::are_in(self.raw.addr()) {
            // After a file, libevent would allocate as much as the file is long.
            return self.add_reference(Arc::from(data));
        }
        // SAFETY: `new`'s caller keeps the buffer; libevent copies `data`.
        let rc = unsafe { ffi::evbuffer_add(self.raw, data.as_ptr().cast(), data.len()) };
        cvt(self.call, rc).map(drop)
    }

    pub(super) fn prepend(self, data: &[u8]) -> Result<()> {
        self.unfrozen(End::Front)?;
        let frozen = (self.length() == 0).then(|| self.frozen(End::Front));
        // SAFETY: `new`'s caller keeps the buffer; libevent copies `data`.
        let rc = unsafe { ffi::evbuffer_prepend(self.raw, data.as_ptr().cast(), data.len()) };
        match (rc, frozen) {
            (-1, Some(frozen)) => Err(frozen),
            (rc, _) => cvt(self.call, rc).map(drop),
        }
    }

    pub(super) fn drain(self, length: usize) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer.
        let rc = unsafe { ffi::evbuffer_drain(self.raw, length) };
        if rc == -1 {
            Err(self.frozen(End::Front))
        } else {
            Ok(())
        }
    }

    /// Moves the first `length` bytes, or all, to an end of a buffer that has no callbacks.
    /// The caller has looked at both ends.
    pub(super) fn move_to(self, target: &Self, end: End, length: usize) -> Result<()> {
        debug_assert!(
            !target.lent,
            "libevent runs the target's callbacks too early"
        );
        let rc = if length < self.length() {
            // SAFETY: both callers of `new` keep their buffers. The count that it answers is
            // too small for large ones: it moves `length`, or nothing where an end is frozen.
            unsafe { ffi::evbuffer_remove_buffer(self.raw, target.raw, length) };
            0
        } else if end == End::Front {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_prepend_buffer(target.raw, self.raw) }
        } else {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_add_buffer(target.raw, self.raw) }
        };
        cvt(self.call, rc).map(drop)
    }

    /// Moves everything out of a buffer that has no callbacks, to an end of this one.
    pub(super) fn take_all(self, source: &Self, end: End) -> Result<()> {
        debug_assert!(
            !source.lent,
            "libevent runs the source's callbacks too early"
        );
        let rc = if end == End::Front {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_prepend_buffer(self.raw, source.raw) }
        } else {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_add_buffer(self.raw, source.raw) }
        };
        if rc == -1 {
            Err(self.frozen(end))
        } else {
            Ok(())
        }
    }

    /// Reads once from a descriptor, 4096 bytes at most.
    pub(super) fn read_from(self, fd: BorrowedFd<'_>, length: c_int) -> io::Result<usize> {
        // SAFETY: `new`'s caller keeps the buffer, and `fd` is open.
        let n = unsafe { ffi::evbuffer_read(self.raw, fd.as_raw_fd(), length) };
        usize::try_from(n).map_err(|_negative| io::Error::last_os_error())
    }

    /// Adds the bytes themselves, which stay alive until they have left the buffer.
    pub(super) fn add_reference(self, bytes: Arc<[u8]>) -> Result<()> {
        self.unfrozen(End::Back)?;
        let (length, bytes) = (bytes.len(), Arc::into_raw(bytes));
        // SAFETY: `new`'s caller keeps the buffer. libevent never writes to such bytes, and
        // their count is given back with the same pointer and length, once.
        let rc = unsafe {
            ffi::evbuffer_add_reference(
                self.raw,
                bytes.cast(),
                length,
                Some(trampoline::on_reference_free),
                ptr::null_mut(),
            )
        };
        if rc == -1 {
            // SAFETY: made above, and libevent has not taken it.
            drop(unsafe { Arc::from_raw(bytes) });
        }
        cvt(self.call, rc).map(drop)
    }

    /// Adds a part of a file to a buffer that libevent writes to a descriptor itself.
    pub(super) fn add_file(self, file: File, offset: i64, length: i64) -> Result<()> {
        self.unfrozen(End::Back)?;
        let flags = ffi::EVBUF_FS_CLOSE_ON_FREE
            | ffi::EVBUF_FS_DISABLE_MMAP
            | ffi::EVBUF_FS_DISABLE_LOCKING;
        // SAFETY: takes the number of an open descriptor. A file that is mapped, which a
        // shorter file would make fatal, is ruled out.
        let segment =
            unsafe { ffi::evbuffer_file_segment_new(file.as_raw_fd(), offset, length, flags) };
        let segment = cvt_p(self.call, segment)?;
        let _closed_with_the_segment = file.into_raw_fd();
        let here = self.raw.addr();
        files::enter(here);
        // SAFETY: `segment` was made above; the function takes the address as a number.
        unsafe {
            ffi::evbuffer_file_segment_add_cleanup_cb(
                segment,
                Some(trampoline::on_file_free),
                ptr::without_provenance_mut(here),
            );
        }
        // SAFETY: `new`'s caller keeps the buffer. A failure frees the segment.
        let rc = unsafe { ffi::evbuffer_add_file_segment(self.raw, segment, 0, length) };
        if rc == 0 {
            // SAFETY: gives up the count that making it gave; the buffer has its own.
            unsafe { ffi::evbuffer_file_segment_free(segment) };
        }
        cvt(self.call, rc).map(drop)
    }
}

/// See [`Native::chunks`].
pub(super) struct Chunks<'a> {
    buffer: &'a Native<'a>,
    at: ffi::evbuffer_ptr,
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let raw = self.buffer.raw;
        let mut part = ffi::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: the buffer is borrowed, hence neither freed nor changed since it gave `at`.
        let found = unsafe { ffi::evbuffer_peek(raw, -1, &mut self.at, &mut part, 1) };
        if found < 1 {
            return None;
        }
        let how = ffi::evbuffer_ptr_how_EVBUFFER_PTR_ADD;
        // SAFETY: as above.
        unsafe { ffi::evbuffer_ptr_set(raw, &mut self.at, part.iov_len, how) };
        // SAFETY: the bytes stay where they are for as long as the buffer is borrowed: all
        // that changes it takes it away. They are in memory, since `EventBuffer::with`
        // refuses buffers with files.
        Some(unsafe { ffi::bytes(part.iov_base, part.iov_len) })
    }
}
