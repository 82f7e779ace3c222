//! Every call on an `evbuffer`.
//!
//! Owns: the buffer of an [`OwnedBuffer`].
//! Lends C counted bytes and files, each until it has left the last buffer that it is in.
//!
//! Runs callbacks: those that hang on a buffer, as the last thing of a call that changes it. The
//! buffers of an [`OwnedBuffer`] have none. What hangs on the others, and what it reads:
//! - on the input of a buffer event with a read high mark, libevent's own: it suspends reading
//!   or resumes it, and reads the marks. On a filter it also fetches what the mark kept back:
//!   it runs the filter's input closure and its read callback;
//! - on the output of a socket, libevent's own, which waits for the socket. On a half of a pair
//!   it moves the bytes to the other half, whose callbacks are deferred. On a filter it runs the
//!   output closure and the write callback, and changes the output of what is under it. With
//!   TLS it writes through the session;
//! - on the input of an HTTP connection, an input with a read high mark, the source of a closure that
//!   runs, and an output with a write timer: what [`BufferView::watch`] added.
//!
//! A call that may run them takes the [`BufferView`], so that nothing is done with it afterwards.
#![allow(unsafe_code)]

mod files;
mod passed;
mod search;
mod shared;

use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};

#[cfg(test)]
pub(crate) use files::buffers_with_files;
pub(crate) use passed::PassedBuffer;

use crate::ffi;
use crate::flags::EolStyle;
use crate::runtime::error::{Error, Result, cvt, cvt_owned, cvt_p, failed};
use crate::runtime::memory::unchecked;

/// How many bytes libevent can count when it moves them out of a buffer: the result is a C int.
const TAKEN_MAX: usize = c_int::MAX as usize;

/// What libevent calls when a buffer changes.
pub(crate) type ChangeEntry =
    unsafe extern "C" fn(*mut ffi::evbuffer, *const ffi::evbuffer_cb_info, *mut c_void);

/// How many chunks go into one write, as in libevent.
const CHUNKS_MAX: usize = 128;

/// Where bytes are taken from, and where they are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Front,
    Back,
}

/// Whose the buffer is.
#[cfg_attr(
    not(feature = "openssl"),
    expect(dead_code, reason = "only TLS has two of them")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Ours: no callback hangs on it.
    Own,
    /// Lent by its owner, which libevent uses it for.
    Lent,
    /// The input of a buffer event, to which libevent adds.
    Input,
    /// The output of a buffer event, from which libevent takes.
    Output,
    /// As `Input`, with TLS: libevent does not freeze the end, but only it may add.
    TlsInput,
    /// As `Output`, with TLS: libevent does not freeze the front, of which it has given OpenSSL
    /// a part that must not go away.
    TlsOutput,
    /// Lent to be looked at.
    ReadOnly,
}

/// A buffer that ends with this.
#[derive(Debug)]
pub(crate) struct OwnedBuffer {
    raw: NonNull<ffi::evbuffer>,
}

impl OwnedBuffer {
    pub(crate) fn new(call: &'static str) -> Result<Self> {
        // SAFETY: takes nothing.
        let raw = cvt_owned(call, unsafe { ffi::evbuffer_new() })?;
        Ok(Self { raw })
    }

    pub(crate) fn view(&self, call: &'static str) -> BufferView<'_> {
        BufferView {
            raw: self.raw,
            access: Access::Own,
            call,
            _buffer: PhantomData,
        }
    }

    /// Hands the bytes to `consume`, chunk by chunk, and empties the buffer.
    pub(crate) fn consume(&mut self, call: &'static str, mut consume: impl FnMut(&[u8])) {
        loop {
            let view = self.view(call);
            let Some(chunk) = view.chunks(0).next() else {
                return;
            };
            let length = chunk.len();
            consume(chunk); // which has no way to this buffer: `self` is borrowed mutably
            if view.drain(length).is_err() {
                return;
            }
        }
    }
}

impl Drop for OwnedBuffer {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here.
        unsafe { ffi::evbuffer_free(self.raw.as_ptr()) };
    }
}

/// A buffer for the length of one call.
///
/// Two views of one buffer are never used at once, except to read.
pub(crate) struct BufferView<'a> {
    raw: NonNull<ffi::evbuffer>,
    access: Access,
    call: &'static str,
    _buffer: PhantomData<&'a ()>,
}

impl<'a> BufferView<'a> {
    /// # Safety
    /// `raw` is not freed while this lives. A callback that this runs may free it: nothing is
    /// done with it afterwards.
    pub(crate) unsafe fn new(
        raw: NonNull<ffi::evbuffer>,
        access: Access,
        call: &'static str,
    ) -> Self {
        Self {
            raw,
            access,
            call,
            _buffer: PhantomData,
        }
    }

    /// For a C call on another object that takes the buffer.
    pub(crate) fn raw(&self) -> *mut ffi::evbuffer {
        self.raw.as_ptr()
    }

    /// What tells it from other buffers.
    pub(crate) fn address(&self) -> usize {
        self.raw.addr().get()
    }

    /// Whether only libevent may ever use the end.
    pub(crate) fn is_closed(&self, end: End) -> bool {
        match self.access {
            Access::ReadOnly => true,
            Access::TlsInput => end == End::Back,
            Access::TlsOutput => end == End::Front,
            Access::Own | Access::Lent | Access::Input | Access::Output => false,
        }
    }

    fn is_lent(&self) -> bool {
        self.access != Access::Own
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.raw == other.raw
    }

    /// Whether a file is in it that libevent sends itself. Its chunks have no memory behind
    /// them: libevent would read what lies at the file's offset.
    #[inline]
    pub(crate) fn holds_files(&self) -> bool {
        self.is_lent() && files::are_in(self.raw.addr().get())
    }

    pub(crate) fn length(&self) -> usize {
        // SAFETY: `new`'s caller keeps the buffer.
        unsafe { ffi::evbuffer_get_length(self.raw()) }
    }

    pub(crate) fn first_chunk(&self) -> usize {
        // SAFETY: `new`'s caller keeps the buffer.
        unsafe { ffi::evbuffer_get_contiguous_space(self.raw()) }
    }

    /// The error of a call that needs an end that is frozen.
    #[cold]
    pub(crate) fn frozen(&self, end: End) -> Error {
        let reason = match (end, self.access) {
            (_, Access::ReadOnly) => {
                "the buffer belongs to an HTTP connection, and can only be looked at"
            }
            (End::Front, Access::Output | Access::TlsOutput) => {
                "libevent takes the bytes from the front of this buffer; add to its end"
            }
            (End::Back, Access::Input | Access::TlsInput) => {
                "libevent adds the bytes at the end of this buffer; take from its front"
            }
            (End::Back, Access::Output | Access::TlsOutput) => {
                "nothing more can be written: ssl_shutdown has ended the output"
            }
            (End::Front, _) => "the front of the buffer is frozen; call unfreeze(true) first",
            (End::Back, _) => "the end of the buffer is frozen; call unfreeze(false) first",
        };
        Error::State {
            call: self.call,
            reason,
        }
    }

    /// Refuses a frozen end. libevent does not tell whether the front of an empty buffer is.
    pub(crate) fn unfrozen(&self, end: End) -> Result<()> {
        if self.is_closed(end) {
            return Err(self.frozen(end));
        }
        let rc = match end {
            // SAFETY: `new`'s caller keeps the buffer; draining nothing only asks.
            End::Front => unsafe { ffi::evbuffer_drain(self.raw(), 0) },
            // SAFETY: `new`'s caller keeps the buffer; committing nothing only asks, and
            // reads no vector.
            End::Back => unsafe { ffi::evbuffer_commit_space(self.raw(), ptr::null_mut(), 0) },
        };
        if rc == -1 {
            Err(self.frozen(end))
        } else {
            Ok(())
        }
    }

    pub(crate) fn set_frozen(&self, end: End, frozen: bool) {
        let front = c_int::from(end == End::Front);
        if frozen {
            // SAFETY: `new`'s caller keeps the buffer.
            unsafe { ffi::evbuffer_freeze(self.raw(), front) };
        } else {
            // SAFETY: `new`'s caller keeps the buffer.
            unsafe { ffi::evbuffer_unfreeze(self.raw(), front) };
        }
    }

    /// Makes room for `length` more bytes. Runs no callback.
    pub(crate) fn expand(&mut self, length: usize) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer.
        cvt(self.call, unsafe {
            ffi::evbuffer_expand(self.raw(), length)
        })
        .map(drop)
    }

    /// Makes the first `length` bytes one chunk; the buffer has that many. Runs no callback.
    pub(crate) fn pullup(&mut self, length: usize) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer.
        let bytes = unsafe { ffi::evbuffer_pullup(self.raw(), length.cast_signed()) };
        cvt_p(self.call, bytes).map(drop)
    }

    /// A copy of the bytes from `start` on, `max` at most. The bytes are in memory.
    pub(crate) fn copy(&self, start: usize, max: usize) -> Result<Vec<u8>> {
        let mut left = max.min(self.length().saturating_sub(start));
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(left)
            .map_err(|_| no_memory(self.call, left))?;
        for chunk in self.chunks(start) {
            let part = clip(chunk, left);
            bytes.extend_from_slice(part);
            left -= part.len();
            if left == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Copies bytes from `start` on into `room`, as many as there are and fit; returns the part
    /// that is set then. The bytes are in memory.
    pub(crate) fn copy_into<'r>(&self, start: usize, room: &'r mut [MaybeUninit<u8>]) -> &'r [u8] {
        let mut copied = 0;
        for chunk in self.chunks(start) {
            let (_, rest) = room.split_at_mut(copied);
            let part = clip(chunk, rest.len());
            for (to, byte) in rest.iter_mut().zip(part) {
                to.write(*byte); // the compiler makes one copy of it
            }
            copied += part.len();
            if copied == room.len() {
                break;
            }
        }
        // SAFETY: the loop has set the first `copied` bytes of `room`, which the result keeps
        // borrowed.
        unsafe { ffi::bytes(room.as_ptr().cast(), copied) }
    }

    /// Whether the buffer's last bytes are these. The bytes are in memory.
    pub(crate) fn ends_with(&self, bytes: &[u8]) -> bool {
        let Some(start) = self.length().checked_sub(bytes.len()) else {
            return false;
        };
        let mut rest = bytes;
        self.chunks(start).all(|chunk| {
            let (part, behind) = rest.split_at(chunk.len().min(rest.len()));
            rest = behind;
            part == chunk
        })
    }

    /// The bytes from `start` on, as they lie in memory, with no empty piece among them. No
    /// other view changes the buffer meanwhile: callers are in `native`, and run no callback.
    fn chunks(&self, start: usize) -> Chunks<'_> {
        Chunks {
            buffer: self,
            at: self.position(start),
            given: 0,
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
        // SAFETY: `new`'s caller keeps the buffer; past its end the position is nowhere, where
        // nothing is found.
        unsafe { ffi::evbuffer_ptr_set(self.raw(), &mut position, at, how) };
        position
    }

    /// Where `what`, which is not empty, lies wholly between `start` and `end`, if both are
    /// inside the buffer.
    pub(crate) fn search(&self, what: &[u8], start: usize, end: usize) -> Result<Option<usize>> {
        let found = search::find(what, self.chunks(start), end.saturating_sub(start))
            .map_err(|_| no_memory(self.call, what.len()))?;
        Ok(found.map(|at| start + at))
    }

    /// Where the line that begins at `start` ends, and how long its end is.
    pub(crate) fn search_eol(&self, start: usize, style: EolStyle) -> Option<(usize, usize)> {
        let (mut start, mut length) = (self.position(start), 0);
        // SAFETY: `new`'s caller keeps the buffer, which has not changed since it gave the
        // position.
        let found =
            unsafe { ffi::evbuffer_search_eol(self.raw(), &mut start, &mut length, style as u32) };
        Some((usize::try_from(found.pos).ok()?, length))
    }

    /// Adds a copy of the bytes. Runs the callbacks of the buffer.
    #[inline]
    pub(crate) fn add(self, data: &[u8]) -> Result<()> {
        if self.is_closed(End::Back) {
            return Err(self.frozen(End::Back));
        }
        let rc = if self.holds_files() {
            -1 // libevent would allocate as much as the file is long
        } else {
            // SAFETY: `new`'s caller keeps the buffer; libevent copies `data`.
            unsafe { ffi::evbuffer_add(self.raw(), data.as_ptr().cast(), data.len()) }
        };
        if rc == 0 {
            return Ok(());
        }
        self.add_by_copy(data)
    }

    /// What [`add`](Self::add) does where libevent refuses it.
    #[cold]
    fn add_by_copy(self, data: &[u8]) -> Result<()> {
        self.unfrozen(End::Back)?; // libevent refuses a frozen end before it changes anything
        // Behind shared bytes, too, libevent allocates as many as there are.
        let copy = OwnedBuffer::new(self.call)?;
        // SAFETY: `copy` owns the buffer; libevent copies `data`.
        let rc = unsafe { ffi::evbuffer_add(copy.raw.as_ptr(), data.as_ptr().cast(), data.len()) };
        cvt(self.call, rc)?;
        self.take_all(&copy.view("EventBuffer::add"), End::Back)
    }

    /// Puts a copy of the bytes at the front. Runs the callbacks of the buffer.
    pub(crate) fn prepend(self, data: &[u8]) -> Result<()> {
        self.unfrozen(End::Front)?;
        let frozen = (self.length() == 0).then(|| self.frozen(End::Front));
        // SAFETY: `new`'s caller keeps the buffer; libevent copies `data`.
        let rc = unsafe { ffi::evbuffer_prepend(self.raw(), data.as_ptr().cast(), data.len()) };
        match (rc, frozen) {
            (-1, Some(frozen)) => Err(frozen),
            (rc, _) => cvt(self.call, rc).map(drop),
        }
    }

    /// Takes the first `length` bytes away. Runs the callbacks of the buffer.
    pub(crate) fn drain(self, length: usize) -> Result<()> {
        if self.is_closed(End::Front) {
            return Err(self.frozen(End::Front));
        }
        // SAFETY: `new`'s caller keeps the buffer.
        let rc = unsafe { ffi::evbuffer_drain(self.raw(), length) };
        if rc == -1 {
            Err(self.frozen(End::Front))
        } else {
            Ok(())
        }
    }

    /// Takes up to `max` bytes from the front. The bytes are in memory. Runs the callbacks of
    /// the buffer.
    pub(crate) fn take(self, max: usize) -> Result<Vec<u8>> {
        let wanted = max.min(self.length());
        if wanted > TAKEN_MAX {
            let bytes = self.copy(0, wanted)?;
            self.drain(wanted)?;
            return Ok(bytes);
        }
        let mut bytes = Vec::new();
        bytes
            .try_reserve_exact(wanted)
            .map_err(|_| no_memory(self.call, wanted))?;
        let room = bytes.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: `bytes` has just reserved room for `wanted` bytes.
        let taken = unsafe { self.remove(room, wanted) }?;
        // SAFETY: `remove` has written that many bytes, at most the `wanted` that are reserved.
        unsafe { bytes.set_len(taken) };
        Ok(bytes)
    }

    /// Moves bytes from the front into `room`, as many as there are and fit, and returns how many.
    /// The bytes are in memory. Runs the callbacks of the buffer.
    pub(crate) fn take_into(self, room: &mut [u8]) -> Result<usize> {
        let most = room.len().min(TAKEN_MAX);
        // SAFETY: `room` has at least `most` bytes.
        unsafe { self.remove(room.as_mut_ptr(), most) }
    }

    /// As [`take_into`](Self::take_into), for memory that is not set yet. Returns the part that is
    /// set then.
    #[inline]
    pub(crate) fn take_into_unset(self, room: &mut [MaybeUninit<u8>]) -> Result<&[u8]> {
        let most = room.len().min(TAKEN_MAX);
        let to = room.as_mut_ptr().cast::<u8>();
        // SAFETY: `room` has at least `most` bytes.
        let taken = unsafe { self.remove(to, most) }?;
        // SAFETY: `remove` has set that many bytes of `room`, which the result keeps borrowed.
        Ok(unsafe { ffi::bytes(to.cast(), taken) })
    }

    /// Moves at most `most` bytes from the front to `to`, and returns how many.
    ///
    /// # Safety
    /// `to` has room for `most` bytes, which are at most [`TAKEN_MAX`].
    #[inline]
    unsafe fn remove(self, to: *mut u8, most: usize) -> Result<usize> {
        if self.is_closed(End::Front) {
            return Err(self.frozen(End::Front));
        }
        // SAFETY: `new`'s caller keeps the buffer; libevent writes at most `most` bytes to `to`,
        // which has room for them, as `# Safety` asks.
        let taken = unsafe { ffi::evbuffer_remove(self.raw(), to.cast(), most) };
        usize::try_from(taken).map_err(|_| self.frozen(End::Front))
    }

    /// Moves the first `length` bytes to the end of a buffer that has no callbacks, of which more
    /// are there. The caller has looked at both ends. Runs the callbacks of this buffer.
    pub(crate) fn move_part(self, target: &BufferView<'_>, length: usize) {
        debug_assert!(
            !target.is_lent(),
            "libevent runs the target's callbacks too early"
        );
        // SAFETY: both callers of `new` keep their buffers. The count that it returns is
        // too small for large ones: it moves `length`, or nothing where an end is frozen. It loses
        // bytes that it has no memory for.
        unchecked(|| unsafe { ffi::evbuffer_remove_buffer(self.raw(), target.raw(), length) });
    }

    /// Moves everything out of `source` to an end of this buffer. libevent runs the callbacks of
    /// `source` first and goes on with both: if both have callbacks, none runs code of the user's.
    pub(crate) fn take_all(self, source: &BufferView<'_>, end: End) -> Result<()> {
        if self.is_closed(end) || source.is_closed(End::Front) {
            return Err(self.not_taken(source, end));
        }
        let rc = if end == End::Front {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_prepend_buffer(self.raw(), source.raw()) }
        } else {
            // SAFETY: both callers of `new` keep their buffers.
            unsafe { ffi::evbuffer_add_buffer(self.raw(), source.raw()) }
        };
        if rc == 0 {
            return Ok(());
        }
        Err(self.not_taken(source, end))
    }

    /// Why nothing was moved out of `source`: libevent looks at both ends first.
    #[cold]
    fn not_taken(&self, source: &BufferView<'_>, end: End) -> Error {
        let ends = self
            .unfrozen(end)
            .and_then(|()| source.unfrozen(End::Front));
        ends.err().unwrap_or_else(|| failed(self.call))
    }

    /// Reads once from a descriptor, 4096 bytes at most. Runs the callbacks of the buffer.
    pub(crate) fn read_from(self, fd: BorrowedFd<'_>, length: c_int) -> io::Result<usize> {
        // SAFETY: `new`'s caller keeps the buffer, and `fd` is borrowed, so it is open.
        let n = unsafe { ffi::evbuffer_read(self.raw(), fd.as_raw_fd(), length) };
        usize::try_from(n).map_err(|_negative| io::Error::last_os_error())
    }

    /// Gives up to `max` bytes from the front to `send`, at most [`CHUNKS_MAX`] chunks, and takes
    /// away as many as it says. The bytes are in memory. Runs the callbacks of the buffer.
    pub(crate) fn write_with(
        self,
        max: usize,
        send: impl FnOnce(&[IoSlice<'_>]) -> io::Result<usize>,
    ) -> Result<usize> {
        let mut left = max;
        let mut slices = Vec::new();
        for chunk in self.chunks(0).take(CHUNKS_MAX) {
            let part = clip(chunk, left);
            if part.is_empty() {
                break;
            }
            left -= part.len();
            slices.push(IoSlice::new(part));
        }
        if slices.is_empty() {
            return Ok(0);
        }
        self.unfrozen(End::Front)?;
        let n = send(&slices).map_err(|error| Error::io(self.call, error))?;
        self.drain(n)?;
        Ok(n)
    }

    /// Writes the output of a buffer event to its socket, as far as that goes at once: what
    /// libevent itself does when the socket can be written. Runs no callback of the user's:
    /// removing bytes from the output of a socket runs no callback.
    #[cfg(feature = "openssl")]
    pub(crate) fn write_out(self, fd: BorrowedFd<'_>) {
        self.set_frozen(End::Front, false);
        // SAFETY: `new`'s caller keeps the buffer, and `fd` is borrowed, so it is open.
        unsafe { ffi::evbuffer_write(self.raw(), fd.as_raw_fd()) };
        self.set_frozen(End::Front, true);
    }

    /// Passes all bytes in one piece to `write`, and removes them if it returns true.
    ///
    /// # Safety
    /// `write` does nothing with this buffer, and runs no code of the user's.
    #[cfg(feature = "openssl")]
    pub(crate) unsafe fn offer_all(self, write: impl FnOnce(&[u8]) -> bool) {
        let length = self.length();
        // SAFETY: `new`'s caller keeps the buffer; null when out of memory.
        let first = unsafe { ffi::evbuffer_pullup(self.raw(), -1) };
        if first.is_null() {
            return;
        }
        // SAFETY: the first of the `length` bytes, which `write` leaves alone.
        let bytes = unsafe { ffi::bytes(first.cast(), length) };
        if write(bytes) {
            // SAFETY: `new`'s caller keeps the buffer, and `bytes` is not used any more.
            unsafe { ffi::evbuffer_drain(self.raw(), length) };
        }
    }

    /// Has `entry` called with `arg` when the buffer changes.
    ///
    /// # Safety
    /// `entry` may be called with `arg` until [`unwatch`](Self::unwatch), or the buffer's end.
    pub(crate) unsafe fn watch(&self, entry: ChangeEntry, arg: *mut c_void) -> Result<()> {
        // SAFETY: `new`'s caller keeps the buffer; `entry` and `arg` are as `# Safety` says.
        let added = unsafe { ffi::evbuffer_add_cb(self.raw(), Some(entry), arg) };
        cvt_p(self.call, added).map(drop)
    }

    /// Ends [`watch`](Self::watch).
    pub(crate) fn unwatch(&self, entry: ChangeEntry, arg: *mut c_void) {
        // SAFETY: `new`'s caller keeps the buffer; libevent compares the two and calls nothing.
        unsafe { ffi::evbuffer_remove_cb(self.raw(), Some(entry), arg) };
    }
}

/// The bytes of a buffer, see [`BufferView::chunks`].
struct Chunks<'a> {
    buffer: &'a BufferView<'a>,
    at: ffi::evbuffer_ptr, // where the last chunk begins
    given: usize,          // its length; 0 before the first
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let raw = self.buffer.raw();
        if self.given > 0 {
            let how = ffi::evbuffer_ptr_how_EVBUFFER_PTR_ADD;
            // SAFETY: `at` is a position in the buffer, which has not changed.
            unsafe { ffi::evbuffer_ptr_set(raw, &mut self.at, self.given, how) };
        }
        let mut part = ffi::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: the view is borrowed, hence the buffer is neither freed nor changed since it
        // gave `at`.
        let found = unsafe { ffi::evbuffer_peek(raw, -1, &mut self.at, &mut part, 1) };
        if found < 1 {
            return None;
        }
        self.given = part.iov_len;
        // SAFETY: the bytes stay where they are while the view is borrowed: all that changes
        // the buffer takes the view. They are in memory: callers refuse buffers with files.
        Some(unsafe { ffi::bytes(part.iov_base, part.iov_len) })
    }
}

/// At most `max` of the bytes.
fn clip(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}

fn no_memory(call: &'static str, bytes: usize) -> Error {
    Error::Call {
        call,
        cause: Some(format!("no memory for {bytes} bytes").into()),
    }
}
