//! Bytes and files that a buffer holds without a copy.
//!
//! Owns nothing. Lends C what `native::evbuffer` says. Runs user code: as `buffer`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use php_event_macros::php;

use super::{EventBuffer, Inner, Side};
use crate::error::{Error, Result};
use crate::native::evbuffer::End;

/// How much of a file is read at once.
const PIECE: u64 = 64 << 10;

impl EventBuffer {
    /// Adds the bytes at the end without copying them. They are freed when they have left the
    /// last buffer and the last `Arc` is dropped.
    ///
    /// To send the same bytes to many peers, give each buffer a clone of one `Arc`. A `Vec` is
    /// copied once, into an `Arc`. Shared bytes are never written to, so [`add`](Self::add)
    /// starts a new chunk after them.
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
    #[php(c = "evbuffer_add_reference")]
    pub fn add_reference(&self, bytes: impl Into<Arc<[u8]>>) -> Result<()> {
        let bytes = bytes.into();
        self.change("EventBuffer::addReference", |view| {
            if bytes.is_empty() {
                return Ok(());
            }
            view.add_reference(bytes)
        })
    }

    /// Adds `length` bytes of a regular file at the end, from `offset` on; `None` is all that
    /// the file has from there.
    ///
    /// In the output of a buffer event on a socket without TLS, the system sends the file
    /// (`sendfile`), which is closed afterwards. Until then, methods that read the output's bytes
    /// or move them to another buffer return [`Error::State`]; you can still add bytes. If the
    /// file becomes shorter before it is sent, the buffer event reports an error. Into every
    /// other buffer the bytes are read at once.
    ///
    /// # Errors
    /// [`Error::Argument`] when the file is not a regular one, or does not have that many bytes;
    /// [`Error::Io`] when it cannot be read; [`Error::State`] when the end is frozen. Then nothing
    /// is added.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// use std::fs::File;
    ///
    /// let buffer = EventBuffer::new()?;
    /// buffer.add_file(File::open("README.md")?, 0, Some(11))?;
    /// assert_eq!(buffer.substr(0, None)?, b"# php-event");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        c = "evbuffer_add_file_segment",
        c_note = ", without mapping the file into memory: a file that became shorter would end the process",
        call = "EventBuffer::addFile"
    )]
    #[doc(alias = "evbuffer_add_file", alias = "sendfile")]
    pub fn add_file(&self, file: File, offset: u64, length: Option<u64>) -> Result<()> {
        self.look(CALL, |view| view.unfrozen(End::Back))?;
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
            part(CALL, size, offset, length)?; // the kernel's own files have length 0
        }
        let pieces = read(CALL, &file, offset, length)?;
        self.change(CALL, |target| {
            pieces.look(CALL, |pieces| {
                if pieces.length() == 0 {
                    return Ok(());
                }
                target.take_all(pieces, End::Back)
            })
        })
    }

    fn drains_to_fd(&self) -> bool {
        match &self.0 {
            Inner::Own(_) => false,
            Inner::Lent { lender, side } => *side == Side::Output && lender.drains_to_fd(),
        }
    }

    fn send_file(&self, call: &'static str, file: File, offset: u64, length: u64) -> Result<()> {
        self.change(call, |view| {
            room_for(call, view.length(), length)?;
            if length == 0 {
                return Ok(());
            }
            // Both are at most the size of a file, which the system keeps in the same type.
            view.add_file(file, offset.cast_signed(), length.cast_signed())
        })
    }
}

/// Refuses a length that libevent cannot count; it does not check.
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

/// The length of the asked part of a file of `size` bytes.
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
        pieces.add(room.get(..n).unwrap_or(room))?;
        done += n as u64;
    }
}
