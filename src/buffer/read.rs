//! Copying and taking bytes.
//!
//! Owns nothing, lends C nothing. Runs user code: as `buffer`.

use std::mem::MaybeUninit;

use php_event_macros::php;

use super::EventBuffer;
use crate::error::{Error, Result};
use crate::native::evbuffer::End;

/// Refuses a position past the end.
pub(super) fn inside(call: &'static str, start: usize, length: usize) -> Result<()> {
    if start <= length {
        return Ok(());
    }
    let reason = format!("start is {start}, but the buffer has only {length} bytes");
    Err(Error::argument(call, reason))
}

impl EventBuffer {
    /// Takes up to `max` bytes from the front; `None` when the buffer is empty or `max` is 0.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen; [`Error::Call`] without memory for the bytes,
    /// which stay in the buffer.
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
    #[php(
        "EventBuffer::read",
        php_note = ", which overruns its memory for −1",
        c = "evbuffer_remove"
    )]
    pub fn read(&self, max: usize) -> Result<Option<Vec<u8>>> {
        self.read_as(CALL, max)
    }

    /// As [`read`](Self::read), for another class's method.
    pub(crate) fn read_as(&self, call: &'static str, max: usize) -> Result<Option<Vec<u8>>> {
        self.change_bytes(call, |view| {
            if max == 0 || view.length() == 0 {
                return Ok(None);
            }
            view.take(max).map(Some)
        })
    }

    /// Replaces `data` with a copy of up to `max` bytes from the front, and returns how many.
    /// They stay in the buffer. An empty buffer leaves `data` unchanged.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen ([`substr`](Self::substr) reads it);
    /// [`Error::Call`] without memory for the bytes.
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
    #[php("EventBuffer::copyout", c = "evbuffer_copyout")]
    pub fn copyout(&self, data: &mut Vec<u8>, max: usize) -> Result<usize> {
        self.look_at_bytes(CALL, |view| {
            if max == 0 || view.length() == 0 {
                return Ok(0);
            }
            view.unfrozen(End::Front)?;
            *data = view.copy(0, max)?;
            Ok(data.len())
        })
    }

    /// Copies `length` bytes from `start` on, or as many as there are; `None` copies all. The
    /// bytes stay in the buffer. A frozen front does not matter.
    ///
    /// # Errors
    /// [`Error::Argument`] when `start` is greater than the length; [`Error::Call`] without
    /// memory for the bytes.
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
    #[php("EventBuffer::substr", c = ["evbuffer_ptr_set", "evbuffer_peek"])]
    pub fn substr(&self, start: usize, length: Option<usize>) -> Result<Vec<u8>> {
        self.look_at_bytes(CALL, |view| {
            inside(CALL, start, view.length())?;
            view.copy(start, length.unwrap_or(usize::MAX))
        })
    }

    /// Takes bytes from the front into `room`, as many as there are and fit, and returns the part
    /// of `room` that is set then. As [`read`](Self::read), without memory of its own.
    ///
    /// For bytes that are set already there is [`std::io::Read`].
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen, or a file is in the buffer.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBuffer;
    ///
    /// let buffer = EventBuffer::from("hello");
    /// let mut room = Vec::with_capacity(4);
    /// assert_eq!(buffer.read_into(&mut room.spare_capacity_mut()[..4])?, b"hell");
    /// assert_eq!(buffer.length(), 1);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evbuffer_remove", call = "EventBuffer::read_into")]
    pub fn read_into<'r>(&self, room: &'r mut [MaybeUninit<u8>]) -> Result<&'r [u8]> {
        self.change_bytes(CALL, |view| view.take_into_unset(room))
    }

    /// Copies bytes from `start` on into `room`, as many as there are and fit, and returns the
    /// part of `room` that is set then. As [`substr`](Self::substr), without memory of its own.
    ///
    /// # Errors
    /// [`Error::Argument`] when `start` is greater than the length; [`Error::State`] when a file
    /// is in the buffer.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBuffer;
    ///
    /// let buffer = EventBuffer::from("hello");
    /// let mut room = Vec::with_capacity(3);
    /// assert_eq!(buffer.copy_into(1, &mut room.spare_capacity_mut()[..3])?, b"ell");
    /// assert_eq!(buffer.length(), 5);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evbuffer_copyout_from", call = "EventBuffer::copy_into")]
    pub fn copy_into<'r>(&self, start: usize, room: &'r mut [MaybeUninit<u8>]) -> Result<&'r [u8]> {
        self.look_at_bytes(CALL, |view| {
            inside(CALL, start, view.length())?;
            Ok(view.copy_into(start, room))
        })
    }

    /// Moves the first `size` bytes into one chunk of memory and returns a copy of them; for a
    /// `size` of `None`, of all. Returns `None` when the buffer is empty or has fewer bytes.
    ///
    /// # Errors
    /// [`Error::Call`] when out of memory.
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
    #[php(
        "EventBuffer::pullup",
        php_note = ", which answers the whole content, or what lies behind it in memory",
        c = "evbuffer_pullup"
    )]
    pub fn pullup(&self, size: Option<usize>) -> Result<Option<Vec<u8>>> {
        self.change_bytes(CALL, |mut view| {
            let length = view.length();
            let size = size.unwrap_or(length);
            if size == 0 || size > length {
                return Ok(None);
            }
            view.pullup(size)?;
            view.copy(0, size).map(Some)
        })
    }
}
