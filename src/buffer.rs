//! `EventBuffer`: a queue of bytes.
//!
//! Owns: its `evbuffer`, unless the buffer is one of a buffer event or a request. Such a buffer
//! is lent: the handle keeps the lender, and asks it for the buffer at each call.
//! Lends C counted bytes and files, see `native::evbuffer`.
//! Runs user code: the callbacks of a lent buffer, as the last thing of a call that changes it.

mod file;
mod freeze;
mod io;
mod read;
mod search;
mod transfer;

#[cfg(test)]
mod tests;

use std::alloc::{self, Layout};
use std::fmt;
use std::rc::Rc;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use php_event_macros::php;

use crate::base;
use crate::error::{Error, Result};
use crate::native::evbuffer::{BufferView, OwnedBuffer};
use crate::runtime::log;
#[cfg(feature = "openssl")]
pub(crate) use io::send;

/// How many bytes `Debug` shows.
const PREVIEW: usize = 32;

/// A queue of bytes: added at the end, taken from the front.
///
/// A handle is counted: a clone is the same buffer, as a PHP variable would be. A buffer from
/// [`new`](Self::new) or [`from`](Self::from) is yours. The buffers of a buffer event or a
/// request are lent: the handle keeps their owner, and returns [`Error::Freed`] once the owner
/// is freed.
///
/// Lengths and positions are `usize`, and positions count from the front. Where PHP takes −1
/// for everything, pass `None` or `usize::MAX`. Each call checks the positions that it gets: one
/// outside of the buffer is an error.
///
/// A method that takes from a frozen front, or adds to a frozen end, returns [`Error::State`],
/// unless there is nothing to take or to add.
///
/// `&EventBuffer` implements `Read` and `Write`, for `io::copy`, `read_exact` and `write!`. The
/// methods [`read`](Self::read) and [`write`](Self::write) are PHP's.
///
/// PHP: `EventBuffer`. libevent: `struct evbuffer`.
///
/// # Examples
/// ```
/// use php_event::EventBuffer;
///
/// let buffer = EventBuffer::from("GET / HTTP/1.1\r\nHost: ");
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
pub struct EventBuffer(Inner);

#[derive(Clone)]
enum Inner {
    Own(Rc<OwnedBuffer>),
    Lent { lender: Rc<dyn Lender>, side: Side },
}

/// Which of its owner's two buffers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Input,
    Output,
}

/// An object with buffers of its own, which live as long as its native half does.
pub(crate) trait Lender {
    /// The buffer, or why it may not be used: freed, or in a forked child.
    fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>>;

    /// How many bytes there are in the buffer, if it may be used.
    fn length(&self, side: Side) -> Option<usize> {
        self.view("EventBuffer::$length", side)
            .ok()
            .map(|view| view.length())
    }

    /// Whether a change of its buffers may run code of the user's at once.
    fn calls_back(&self) -> bool;

    /// The buffer before it is changed, and the base whose callbacks that may run, if it may run
    /// any.
    fn view_to_change(
        &self,
        call: &'static str,
        side: Side,
    ) -> Result<(BufferView<'_>, Option<&base::Inner>)>;

    /// After a change of the buffer.
    fn changed(&self, _side: Side) {}

    /// Whether libevent itself writes the output to a descriptor, as it does for a buffer event
    /// on a socket without TLS: it sends a file from there without reading it into memory.
    fn drains_to_fd(&self) -> bool {
        false
    }
}

/// Calls C to change a lent buffer, which may run callbacks, whose panic comes out of here.
#[inline]
pub(crate) fn change_lent<L: Lender + ?Sized, T>(
    lender: &L,
    call: &'static str,
    side: Side,
    work: impl FnOnce(BufferView<'_>) -> Result<T>,
) -> Result<T> {
    let result = match lender.view_to_change(call, side)? {
        (view, Some(base)) => base.calling(|| work(view)),
        (view, None) => work(view),
    };
    lender.changed(side);
    result
}

impl EventBuffer {
    /// Makes an empty buffer.
    ///
    /// # Errors
    /// [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(php_event::EventBuffer::new()?.length(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::__construct", c = "evbuffer_new")]
    pub fn new() -> Result<Self> {
        log::install();
        let own = OwnedBuffer::new(CALL)?;
        Ok(Self(Inner::Own(Rc::new(own))))
    }

    /// A buffer of `lender`, which stays alive for as long as this handle.
    pub(crate) fn lent(lender: Rc<dyn Lender>, side: Side) -> Self {
        Self(Inner::Lent { lender, side })
    }

    /// The buffer for one call, whose change runs no callbacks: another object lends it on.
    pub(crate) fn view(&self, call: &'static str) -> Result<BufferView<'_>> {
        match &self.0 {
            Inner::Own(own) => Ok(own.view(call)),
            Inner::Lent { lender, side } => lender.view(call, *side),
        }
    }

    fn is_lent(&self) -> bool {
        matches!(&self.0, Inner::Lent { .. })
    }

    /// Whether a change of the buffer may run code of the user's at once.
    pub(crate) fn calls_back(&self) -> bool {
        match &self.0 {
            Inner::Own(_) => false,
            Inner::Lent { lender, .. } => lender.calls_back(),
        }
    }

    /// Calls C to look at the buffer.
    fn look<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(&BufferView<'_>) -> Result<T>,
    ) -> Result<T> {
        match &self.0 {
            Inner::Own(own) => work(&own.view(call)),
            Inner::Lent { lender, side } => work(&lender.view(call, *side)?),
        }
    }

    /// As [`look`](Self::look), at the bytes, which are all in memory.
    fn look_at_bytes<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(&BufferView<'_>) -> Result<T>,
    ) -> Result<T> {
        self.look(call, |view| {
            in_memory(call, view)?;
            work(view)
        })
    }

    /// Calls C to change the buffer, whose bytes are all in memory: C may read them, and move
    /// them elsewhere. The change may run callbacks of a lent buffer, whose panic comes out of
    /// here.
    #[inline]
    pub(crate) fn change_bytes<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(BufferView<'_>) -> Result<T>,
    ) -> Result<T> {
        self.change(call, |view| {
            in_memory(call, &view)?;
            work(view)
        })
    }

    /// As [`change_bytes`](Self::change_bytes), for C calls that neither read the bytes nor move
    /// them to another buffer: files may be in this one.
    #[inline]
    fn change<T>(
        &self,
        call: &'static str,
        work: impl FnOnce(BufferView<'_>) -> Result<T>,
    ) -> Result<T> {
        match &self.0 {
            Inner::Own(own) => work(own.view(call)),
            Inner::Lent { lender, side } => change_lent(&**lender, call, *side, work),
        }
    }

    /// How many bytes are in the buffer; none if its owner is gone.
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
        match &self.0 {
            Inner::Own(own) => own.view("").length(),
            Inner::Lent { lender, side } => lender.length(*side).unwrap_or(0),
        }
    }

    /// How many bytes the first chunk of memory holds; [`pullup`](Self::pullup) makes it
    /// longer. 0 for an empty buffer, even one with room.
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
        let space = self.look(CALL, |view| Ok(view.first_chunk()));
        space.unwrap_or(0)
    }

    /// Adds a copy of the bytes at the end.
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
    #[php("EventBuffer::add", c = "evbuffer_add")]
    pub fn add(&self, data: impl AsRef<[u8]>) -> Result<()> {
        self.add_as(CALL, data.as_ref())
    }

    /// As [`add`](Self::add), for another class's method.
    pub(crate) fn add_as(&self, call: &'static str, data: &[u8]) -> Result<()> {
        self.change(call, |view| {
            if data.is_empty() {
                return Ok(());
            }
            view.add(data)
        })
    }

    /// Adds a copy of the bytes at the front.
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
    #[php("EventBuffer::prepend", c = "evbuffer_prepend")]
    pub fn prepend(&self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.change(CALL, |view| {
            if data.is_empty() {
                return Ok(());
            }
            view.prepend(data)
        })
    }

    /// Removes the first `length` bytes, or all if there are fewer.
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
    #[php("EventBuffer::drain", c = "evbuffer_drain")]
    pub fn drain(&self, length: usize) -> Result<()> {
        self.change(CALL, |view| {
            if length == 0 {
                return Ok(());
            }
            view.drain(length)
        })
    }

    /// Reserves room for `length` more bytes, so that adding them does not allocate. The
    /// buffer's length stays the same, and the end may be frozen.
    ///
    /// # Errors
    /// [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.expand(1 << 20)?;
    /// assert_eq!(buffer.length(), 0);
    /// assert!(buffer.expand(usize::MAX).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::expand", c = "evbuffer_expand")]
    pub fn expand(&self, length: usize) -> Result<()> {
        self.change(CALL, |mut view| view.expand(length))
    }
}

/// Refuses a buffer with a file in it that libevent sends itself.
#[inline]
pub(crate) fn in_memory(call: &'static str, view: &BufferView<'_>) -> Result<()> {
    if view.holds_files() {
        return Err(not_in_memory(call));
    }
    Ok(())
}

#[cold]
fn not_in_memory(call: &'static str) -> Error {
    Error::State {
        call,
        reason: "a file in the buffer was not sent yet, and its bytes are not in memory",
    }
}

impl<T: AsRef<[u8]>> From<T> for EventBuffer {
    /// Makes a buffer with a copy of the bytes. Out of memory, the process ends, as with `Vec`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// assert_eq!(EventBuffer::from("hello").length(), 5);
    /// assert_eq!(EventBuffer::from(vec![1, 2, 3]).substr(1, None)?, [2, 3]);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    fn from(bytes: T) -> Self {
        let bytes = bytes.as_ref();
        let filled = Self::new().and_then(|buffer| {
            buffer.add(bytes)?;
            Ok(buffer)
        });
        filled.unwrap_or_else(|_no_memory| alloc::handle_alloc_error(Layout::for_value(bytes)))
    }
}

impl PartialEq for EventBuffer {
    /// Whether both are the same buffer, as PHP's `===`; not whether the bytes are the same.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Own(one), Inner::Own(other)) => Rc::ptr_eq(one, other),
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
    /// `{"length":3,"contiguous_space":3}`, as PHP's `json_encode` does.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("EventBuffer", 2)?;
        object.serialize_field("length", &self.length())?;
        object.serialize_field("contiguous_space", &self.contiguous_space())?;
        object.end()
    }
}

impl fmt::Debug for EventBuffer {
    /// Its length and its first bytes, or why it may not be used.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.look("EventBuffer", |view| {
            let shown = !view.holds_files();
            Ok((view.length(), shown.then(|| view.copy(0, PREVIEW))))
        });
        let mut debug = f.debug_struct("EventBuffer");
        match seen {
            Ok((length, front)) => {
                debug.field("length", &length);
                if let Some(Ok(front)) = front {
                    debug.field("front", &format_args!("\"{}\"", front.escape_ascii()));
                }
            }
            Err(error) => {
                debug.field("unusable", &format_args!("{error}"));
            }
        }
        debug.finish_non_exhaustive()
    }
}
