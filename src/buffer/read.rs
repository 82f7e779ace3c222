//! Copying and taking bytes.
//!
//! Owns, lends to C: nothing. Runs user code: as `buffer`.

use super::native::Native;
use super::{End, EventBuffer};
use crate::error::{Error, Result};

/// At most `max` of the bytes.
pub(super) fn clip(bytes: &[u8], max: usize) -> &[u8] {
    bytes.get(..max).unwrap_or(bytes)
}

/// The bytes from `start` on, `max` at most.
pub(super) fn copy(buffer: &Native<'_>, start: usize, max: usize) -> Vec<u8> {
    let mut left = max.min(buffer.length().saturating_sub(start));
    let mut bytes = Vec::with_capacity(left);
    for chunk in buffer.chunks(start) {
        let part = clip(chunk, left);
        bytes.extend_from_slice(part);
        left -= part.len();
        if left == 0 {
            break;
        }
    }
    bytes
}

/// Refuses a position past the end.
pub(super) fn inside(call: &'static str, start: usize, length: usize) -> Result<()> {
    if start <= length {
        return Ok(());
    }
    let reason = format!("start is {start}, but the buffer has only {length} bytes");
    Err(Error::argument(call, reason))
}

impl EventBuffer {
    /// Takes up to `max` bytes from the front; `None` when that is none.
    ///
    /// PHP: `EventBuffer::read`, which overruns its memory for −1. libevent: `evbuffer_remove`.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("hello")?;
    /// assert_eq!(buffer.read(2)?.as_deref(), Some(&b"he"[..]));
    /// assert_eq!(buffer.read(usize::MAX)?.as_deref(), Some(&b"llo"[..]));
    /// assert_eq!(buffer.read(2)?, None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::read", alias = "evbuffer_remove")]
    pub fn read(&self, max: usize) -> Result<Option<Vec<u8>>> {
        self.native("EventBuffer::read", |buffer| {
            if max == 0 || buffer.length() == 0 {
                return Ok(None);
            }
            buffer.unfrozen(End::Front)?;
            let bytes = copy(&buffer, 0, max);
            buffer.drain(bytes.len())?;
            Ok(Some(bytes))
        })
    }

    /// Replaces `data` with a copy of up to `max` bytes from the front, which stay in the
    /// buffer, and tells how many there are. When there are none, `data` is left alone.
    ///
    /// PHP: `EventBuffer::copyout`. libevent: `evbuffer_copyout`.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen; [`substr`](Self::substr) does not mind.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// let mut data = b"before".to_vec();
    /// assert_eq!(buffer.copyout(&mut data, 100)?, 0);
    /// assert_eq!(data, b"before");
    /// buffer.add("hello")?;
    /// assert_eq!(buffer.copyout(&mut data, 4)?, 4);
    /// assert_eq!((data.as_slice(), buffer.length()), (&b"hell"[..], 5));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::copyout", alias = "evbuffer_copyout")]
    pub fn copyout(&self, data: &mut Vec<u8>, max: usize) -> Result<usize> {
        self.native("EventBuffer::copyout", |buffer| {
            if max == 0 || buffer.length() == 0 {
                return Ok(0);
            }
            buffer.unfrozen(End::Front)?;
            *data = copy(&buffer, 0, max);
            Ok(data.len())
        })
    }

    /// A copy of `length` bytes from `start` on, fewer where the buffer ends before; `None`
    /// is as many as there are. The bytes stay in the buffer, frozen or not.
    ///
    /// PHP: `EventBuffer::substr`. libevent: `evbuffer_ptr_set` and `evbuffer_peek`.
    ///
    /// # Errors
    /// [`Error::Argument`] when `start` is greater than the length.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("hello world")?;
    /// assert_eq!(buffer.substr(6, None)?, b"world");
    /// assert_eq!(buffer.substr(6, Some(3))?, b"wor");
    /// assert_eq!(buffer.substr(11, Some(3))?, b"");
    /// assert!(buffer.substr(12, None).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBuffer::substr",
        alias = "evbuffer_ptr_set",
        alias = "evbuffer_peek"
    )]
    pub fn substr(&self, start: usize, length: Option<usize>) -> Result<Vec<u8>> {
        const CALL: &str = "EventBuffer::substr";
        self.native(CALL, |buffer| {
            inside(CALL, start, buffer.length())?;
            Ok(copy(&buffer, start, length.unwrap_or(usize::MAX)))
        })
    }

    /// Moves the first `size` bytes into one chunk of memory, and gives a copy of exactly
    /// these; `None` is all of them. Without so many bytes, or with none, the answer is `None`.
    ///
    /// PHP: `EventBuffer::pullup`, which answers the whole content, or what lies behind it
    /// in memory. libevent: `evbuffer_pullup`.
    ///
    /// # Errors
    /// [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("world")?;
    /// buffer.prepend("hello ")?;
    /// assert_eq!(buffer.pullup(Some(7))?.as_deref(), Some(&b"hello w"[..]));
    /// assert!(buffer.contiguous_space() >= 7);
    /// assert_eq!(buffer.pullup(Some(12))?, None);
    /// assert_eq!(buffer.length(), 11);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::pullup", alias = "evbuffer_pullup")]
    pub fn pullup(&self, size: Option<usize>) -> Result<Option<Vec<u8>>> {
        self.native("EventBuffer::pullup", |mut buffer| {
            let length = buffer.length();
            let size = size.unwrap_or(length);
            if size == 0 || size > length {
                return Ok(None);
            }
            buffer.pullup(size)?;
            Ok(Some(copy(&buffer, 0, size)))
        })
    }
}
