//! Bytes and files that a buffer holds without a copy.
//!
//! Owns: the count of files in each buffer of this thread.
//! Lent to C: the address of a buffer, as a number. Runs user code: as `buffer`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::read::clip;
use super::{End, EventBuffer, Inner, Side};
use crate::error::{Error, Result};

/// How much of a file is read at once.
const PIECE: u64 = 64 << 10;

/// Which buffers hold files that libevent sends itself, by their address. The chunks of such
/// a file have no memory behind them, and libevent would read what lies at the file's offset.
pub(crate) mod files {
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        static FILES: RefCell<HashMap<usize, usize>> = RefCell::default();
    }

    /// A file comes into the buffer.
    pub(crate) fn enter(buffer: usize) {
        FILES.with_borrow_mut(|files| *files.entry(buffer).or_default() += 1);
    }

    /// A file has left the buffer, or the buffer has ended. Called from inside libevent.
    pub(crate) fn leave(buffer: usize) {
        let left = FILES.try_with(|files| {
            let mut files = files.borrow_mut();
            if let Some(count) = files.get_mut(&buffer) {
                *count -= 1;
                if *count == 0 {
                    files.remove(&buffer);
                }
            }
        });
        left.ok(); // the thread is at its end, and nobody asks any more
    }

    /// Whether files are in the buffer. Where the thread's variables are gone, nobody knows.
    pub(crate) fn are_in(buffer: usize) -> bool {
        let found = FILES.try_with(|files| files.borrow().contains_key(&buffer));
        found.unwrap_or(true)
    }
}

impl EventBuffer {
    /// Puts the bytes themselves at the end, not a copy; they are freed when the last buffer
    /// that they are in, and the last `Arc`, is done with them.
    ///
    /// Give each of many buffers a clone of one `Arc`. A `Vec` is copied once, into an `Arc`.
    /// As they are shared, [`add`](Self::add) starts a new chunk after them.
    ///
    /// Beyond PHP. libevent: `evbuffer_add_reference`.
    ///
    /// # Errors
    /// [`Error::State`] when the end is frozen.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// use std::sync::Arc;
    ///
    /// let page: Arc<[u8]> = Arc::from(*b"the same for all");
    /// let outputs = [EventBuffer::new()?, EventBuffer::new()?];
    /// for output in &outputs {
    ///     output.add_reference(page.clone())?;
    /// }
    /// assert_eq!(Arc::strong_count(&page), 3);
    /// drop(outputs);
    /// assert_eq!(Arc::strong_count(&page), 1);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "evbuffer_add_reference")]
    pub fn add_reference(&self, bytes: impl Into<Arc<[u8]>>) -> Result<()> {
        let bytes = bytes.into();
        self.native_files("EventBuffer::addReference", |buffer| {
            if bytes.is_empty() {
                return Ok(());
            }
            buffer.add_reference(bytes)
        })
    }

    /// Puts `length` bytes of a regular file at the end, from `offset` on; `None` is as many
    /// as the file has.
    ///
    /// In the output of a buffer event on a socket without TLS the file stays a file: the
    /// system sends it (`sendfile`) and it is closed afterwards. Until then what reads the
    /// output's bytes or moves them elsewhere answers [`Error::State`]; adding more is fine. If
    /// the file becomes shorter meanwhile, the buffer event reports an error. In every other
    /// buffer the bytes are read now.
    ///
    /// Beyond PHP. libevent: `evbuffer_add_file_segment`, without the mapping into memory that
    /// would end the process if the file became shorter.
    ///
    /// # Errors
    /// [`Error::Argument`] when it is no regular file, or has not so many bytes;
    /// [`Error::Io`] when it cannot be read; [`Error::State`] when the end is frozen. Nothing is
    /// added then.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// use std::fs::File;
    ///
    /// let buffer = EventBuffer::new()?;
    /// buffer.add_file(File::open("Cargo.toml")?, 0, Some(9))?;
    /// assert_eq!(buffer.substr(0, None)?, b"[package]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(
        alias = "evbuffer_add_file",
        alias = "evbuffer_add_file_segment",
        alias = "sendfile"
    )]
    pub fn add_file(&self, file: File, offset: u64, length: Option<u64>) -> Result<()> {
        const CALL: &str = "EventBuffer::addFile";
        self.native_files(CALL, |buffer| buffer.unfrozen(End::Back))?;
        let metadata = file.metadata().map_err(|error| Error::io(CALL, error))?;
        if !metadata.is_file() {
            let reason = "not a regular file; read it, or watch it with an Event";
            return Err(Error::argument(CALL, reason));
        }
        let size = metadata.len();
        if size > 0 && self.drains_to_fd() {
            return self.send_file(CALL, file, offset, part(CALL, size, offset, length)?);
        }
        if size > 0 {
            part(CALL, size, offset, length)?; // files of the kernel's have a length of 0
        }
        let pieces = read(CALL, &file, offset, length)?;
        self.native_files(CALL, |target| {
            pieces.native(CALL, |pieces| {
                if pieces.length() == 0 {
                    return Ok(());
                }
                target.take_all(&pieces, End::Back)
            })
        })
    }

    fn drains_to_fd(&self) -> bool {
        match &*self.0 {
            Inner::Own(_) => false,
            Inner::Lent { lender, side } => *side == Side::Output && lender.drains_to_fd(),
        }
    }

    fn send_file(&self, call: &'static str, file: File, offset: u64, length: u64) -> Result<()> {
        self.native_files(call, |buffer| {
            room_for(call, buffer.length(), length)?;
            if length == 0 {
                return Ok(());
            }
            // Both are at most the size of a file, which the system keeps in the same type.
            buffer.add_file(file, offset.cast_signed(), length.cast_signed())
        })
    }
}

/// Refuses what libevent, which does not look, could not count any more.
pub(super) fn room_for(call: &'static str, length: usize, more: u64) -> Result<()> {
    let sum = u64::try_from(length)
        .ok()
        .and_then(|length| length.checked_add(more));
    if sum.is_some_and(|sum| sum <= isize::MAX.cast_unsigned() as u64) {
        return Ok(());
    }
    let reason = format!("the buffer has {length} bytes, and no room for {more} more");
    Err(Error::argument(call, reason))
}

/// How long the part of a file of `size` bytes is.
fn part(call: &'static str, size: u64, offset: u64, length: Option<u64>) -> Result<u64> {
    let rest = size.checked_sub(offset);
    match (rest, length) {
        (Some(rest), None) => Ok(rest),
        (Some(rest), Some(length)) if length <= rest => Ok(length),
        (_, length) => {
            let length = length.map_or("bytes".to_owned(), |length| format!("{length} bytes"));
            let reason = format!("{length} from {offset} on asked for; the file has {size}");
            Err(Error::argument(call, reason))
        }
    }
}

/// Reads a part of a file, or all that is there.
fn read(call: &'static str, file: &File, offset: u64, length: Option<u64>) -> Result<EventBuffer> {
    let pieces = EventBuffer::new()?;
    let mut piece = vec![0; PIECE as usize];
    let mut done = 0;
    loop {
        let left = length.map_or(PIECE, |length| length - done);
        let wanted = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (room, _) = piece.split_at_mut(wanted);
        if room.is_empty() {
            return Ok(pieces);
        }
        let n = match file.read_at(room, offset.saturating_add(done)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result.map_err(|error| Error::io(call, error))?,
        };
        if n == 0 && length.is_some() {
            return Err(Error::io(
                call,
                io::Error::from(io::ErrorKind::UnexpectedEof),
            ));
        }
        if n == 0 {
            return Ok(pieces);
        }
        pieces.add(clip(room, n))?;
        done += n as u64;
    }
}
