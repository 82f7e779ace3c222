//! `EventBuffer`: bytes that come in at one end and go out at the other.
//!
//! Owns: its `evbuffer`, or nothing where the buffer is one of a buffer event or a request:
//! then it counts on that object and asks it for the pointer at each call.
//! Lent to C: the counted bytes and the files that were added, see `native`.
//! Runs user code: what hangs on a buffer event's own buffers, such as a filter, through
//! `trampoline`, as the last thing of a call.
#![allow(unsafe_code)]

mod freeze;
mod io;
mod native;
mod read;
mod search;
mod shared;
mod transfer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::rc::Rc;

use native::Native;
use serde::ser::{Serialize, SerializeStruct, Serializer};
pub(crate) use shared::files;

use crate::error::{Error, Result, cvt_p};
use crate::{base, ffi, log};

/// A queue of bytes.
///
/// A handle is counted: a clone is the same buffer, as a PHP variable would be. A buffer of
/// one's own comes from [`new`](Self::new); those of a buffer event or a request are lent:
/// the handle keeps their owner, and answers [`Error::Freed`] when the owner was freed.
///
/// Numbers of bytes and positions, counted from the front, are `usize`. Where PHP takes −1
/// for everything, `None` or `usize::MAX` does here; no other negative numbers exist. A
/// position is looked at anew in each call, so that one of another buffer, or of before a
/// change, is an error or a place in this buffer, never outside of it.
///
/// A method that takes from a frozen front, or adds to a frozen end, answers
/// [`Error::State`], unless there is nothing to take or to add.
///
/// `&EventBuffer` is Rust's `Read` and `Write`, so that `io::copy`, `read_exact` and `write!`
/// work; [`read`](Self::read) and [`write`](Self::write) by their plain names are PHP's.
///
/// PHP: `EventBuffer`. libevent: `struct evbuffer`.
///
/// # Examples
/// ```
/// use php_event::EventBuffer;
///
/// let buffer = EventBuffer::new()?;
/// buffer.add("GET / HTTP/1.1\r\nHost: ")?;
/// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?.as_deref(), Some(&b"GET / HTTP/1.1"[..]));
/// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?, None); // not complete yet
/// buffer.add("example.org\r\n")?;
/// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?.as_deref(), Some(&b"Host: example.org"[..]));
/// # Ok::<(), php_event::EventException>(())
/// ```
///
/// Buffers stay in one thread:
/// ```compile_fail,E0277
/// # use php_event::EventBuffer;
/// let buffer = EventBuffer::new().unwrap();
/// std::thread::spawn(move || buffer.length());
/// ```
/// ```
/// # use php_event::EventBuffer;
/// std::thread::spawn(|| EventBuffer::new().unwrap().length()).join().unwrap();
/// ```
#[derive(Clone)]
#[doc(alias = "evbuffer")]
pub struct EventBuffer(Rc<Inner>);

enum Inner {
    Own(*mut ffi::evbuffer),
    Lent { lender: Rc<dyn Lender>, side: Side },
}

/// Which of its owner's two buffers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

/// Where bytes are taken from, and where they are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

/// Whose the buffer is, for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Own,
    Lent,
    /// Lent to be looked at.
    ReadOnly,
}

/// An object with buffers of its own: they live as long as its native half does.
pub(crate) trait Lender {
    /// The buffer, or why it may not be used: freed, or in a forked child.
    fn evbuffer(&self, call: &'static str, side: Side) -> Result<*mut ffi::evbuffer>;

    /// The base whose callbacks a change of the buffer may run, if it may run any.
    fn base(&self) -> Option<Rc<base::Inner>>;

    /// Whether libevent itself writes the output to a descriptor, as for a buffer event on
    /// a socket without TLS: a file in it is then sent without being read into memory.
    fn drains_to_fd(&self) -> bool {
        false
    }

    /// Whether the bytes may be looked at, and nothing else.
    fn is_read_only(&self) -> bool {
        false
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Self::Own(raw) = self {
            // SAFETY: made by `evbuffer_new`, freed only here.
            unsafe { ffi::evbuffer_free(*raw) };
        }
    }
}

impl EventBuffer {
    /// Makes an empty buffer.
    ///
    /// PHP: `EventBuffer::__construct`. libevent: `evbuffer_new`.
    ///
    /// # Errors
    /// [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(php_event::EventBuffer::new()?.length(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::__construct", alias = "evbuffer_new")]
    pub fn new() -> Result<Self> {
        log::install();
        // SAFETY: takes nothing from us.
        let raw = cvt_p("EventBuffer::__construct", unsafe { ffi::evbuffer_new() })?;
        Ok(Self(Rc::new(Inner::Own(raw))))
    }

    /// A buffer of `lender`, which stays alive for as long as this handle.
    pub(crate) fn lent(lender: Rc<dyn Lender>, side: Side) -> Self {
        Self(Rc::new(Inner::Lent { lender, side }))
    }

    fn is_lent(&self) -> bool {
        matches!(&*self.0, Inner::Lent { .. })
    }

    fn access(&self) -> Access {
        match &*self.0 {
            Inner::Own(_) => Access::Own,
            Inner::Lent { lender, .. } if lender.is_read_only() => Access::ReadOnly,
            Inner::Lent { .. } => Access::Lent,
        }
    }

    /// Calls C with the buffer, whose bytes are all in memory, so that C may read them and
    /// move them elsewhere. A change of a lent one may run callbacks, whose panic comes out
    /// of here.
    pub(crate) fn with<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(*mut ffi::evbuffer) -> T,
    ) -> Result<T> {
        let lent = self.is_lent();
        self.with_files(call, |raw| {
            if lent && files::are_in(raw.addr()) {
                return Err(Error::State {
                    call,
                    reason: "the buffer holds a file that was not sent yet, whose bytes are not in memory",
                });
            }
            Ok(work(raw))
        })?
    }

    /// As [`with`](Self::with), for C calls that neither read the bytes nor move them to
    /// another buffer: the buffer may hold files.
    pub(crate) fn with_files<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(*mut ffi::evbuffer) -> T,
    ) -> Result<T> {
        match &*self.0 {
            Inner::Own(raw) => Ok(work(*raw)),
            Inner::Lent { lender, side } => {
                let raw = lender.evbuffer(call, *side)?;
                Ok(match lender.base() {
                    Some(base) => base.calling(|| work(raw)),
                    None => work(raw),
                })
            }
        }
    }

    /// As [`with`](Self::with), for the methods.
    fn native<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(Native<'_>) -> Result<T>,
    ) -> Result<T> {
        let access = self.access();
        // SAFETY: `self`, or the owner of a lent buffer, keeps it while `work` runs.
        self.with(call, |raw| work(unsafe { Native::new(raw, access, call) }))?
    }

    /// As [`with_files`](Self::with_files), for the methods.
    fn native_files<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(Native<'_>) -> Result<T>,
    ) -> Result<T> {
        let access = self.access();
        // SAFETY: `self`, or the owner of a lent buffer, keeps it while `work` runs.
        self.with_files(call, |raw| work(unsafe { Native::new(raw, access, call) }))?
    }

    /// How many bytes are in the buffer; none in one whose owner is gone.
    ///
    /// PHP: the property `EventBuffer::$length`. libevent: `evbuffer_get_length`.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("hello")?;
    /// assert_eq!(buffer.length(), 5);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::$length", alias = "evbuffer_get_length")]
    #[must_use]
    pub fn length(&self) -> usize {
        let length = self.native_files("EventBuffer::$length", |buffer| Ok(buffer.length()));
        length.unwrap_or(0)
    }

    /// How many bytes are in the first chunk of memory; [`pullup`](Self::pullup) makes it
    /// longer. None in an empty buffer, even one with room.
    ///
    /// PHP: the property `EventBuffer::$contiguous_space`.
    /// libevent: `evbuffer_get_contiguous_space`.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("world")?;
    /// buffer.prepend("hello ")?;
    /// assert!(buffer.contiguous_space() <= buffer.length());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBuffer::$contiguous_space",
        alias = "evbuffer_get_contiguous_space"
    )]
    #[must_use]
    pub fn contiguous_space(&self) -> usize {
        const CALL: &str = "EventBuffer::$contiguous_space";
        let space = self.native_files(CALL, |buffer| Ok(buffer.first_chunk()));
        space.unwrap_or(0)
    }

    /// Puts a copy of the bytes at the end.
    ///
    /// PHP: `EventBuffer::add`. libevent: `evbuffer_add`.
    ///
    /// # Errors
    /// [`Error::State`] when the end is frozen; for a lent buffer [`Error::Freed`] and
    /// [`Error::Forked`], as in every method.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("text")?;
    /// buffer.add([0, 255])?; // any bytes
    /// assert_eq!(buffer.length(), 6);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::add", alias = "evbuffer_add")]
    pub fn add(&self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.native_files("EventBuffer::add", |buffer| {
            if data.is_empty() {
                return Ok(());
            }
            buffer.add(data)
        })
    }

    /// Puts a copy of the bytes at the front.
    ///
    /// PHP: `EventBuffer::prepend`. libevent: `evbuffer_prepend`.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("body")?;
    /// buffer.prepend(format!("{}\n", buffer.length()))?;
    /// assert_eq!(buffer.read(100)?.as_deref(), Some(&b"4\nbody"[..]));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::prepend", alias = "evbuffer_prepend")]
    pub fn prepend(&self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.native_files("EventBuffer::prepend", |buffer| {
            if data.is_empty() {
                return Ok(());
            }
            buffer.prepend(data)
        })
    }

    /// Forgets the first `length` bytes; more than there are empty the buffer.
    ///
    /// PHP: `EventBuffer::drain`. libevent: `evbuffer_drain`.
    ///
    /// # Errors
    /// [`Error::State`] when the front is frozen.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("hello")?;
    /// buffer.drain(2)?;
    /// assert_eq!(buffer.substr(0, None)?, b"llo");
    /// buffer.drain(usize::MAX)?;
    /// assert_eq!(buffer.length(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::drain", alias = "evbuffer_drain")]
    pub fn drain(&self, length: usize) -> Result<()> {
        self.native_files("EventBuffer::drain", |buffer| {
            if length == 0 {
                return Ok(());
            }
            buffer.drain(length)
        })
    }

    /// Makes room for `length` more bytes, so that adding them will not allocate. The
    /// buffer's length stays as it is, and the end may be frozen.
    ///
    /// PHP: `EventBuffer::expand`. libevent: `evbuffer_expand`.
    ///
    /// # Errors
    /// [`Error::Call`] when there is not so much memory.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.expand(1 << 20)?;
    /// assert_eq!(buffer.length(), 0);
    /// assert!(buffer.expand(usize::MAX).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::expand", alias = "evbuffer_expand")]
    pub fn expand(&self, length: usize) -> Result<()> {
        self.native_files("EventBuffer::expand", |mut buffer| buffer.expand(length))
    }
}

impl PartialEq for EventBuffer {
    /// Whether both are the same buffer, as PHP's `===`; not whether the bytes are the same.
    fn eq(&self, other: &Self) -> bool {
        match (&*self.0, &*other.0) {
            (Inner::Own(one), Inner::Own(other)) => one == other,
            (
                Inner::Lent { lender, side },
                Inner::Lent {
                    lender: others_lender,
                    side: others_side,
                },
            ) => {
                std::ptr::addr_eq(Rc::as_ptr(lender), Rc::as_ptr(others_lender))
                    && side == others_side
            }
            _ => false,
        }
    }
}

impl Eq for EventBuffer {}

impl Serialize for EventBuffer {
    /// `{"length":3,"contiguous_space":3}`, as PHP's `json_encode` gives.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("EventBuffer", 2)?;
        object.serialize_field("length", &self.length())?;
        object.serialize_field("contiguous_space", &self.contiguous_space())?;
        object.end()
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer")
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}
