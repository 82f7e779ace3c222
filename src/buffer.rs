//! `EventBuffer`: bytes that come in at one end and go out at the other.
//!
//! Owns: its `evbuffer`, or nothing where the buffer is one of a buffer event or a request:
//! then it counts on that object and asks it for the pointer at each call.
//! Lent to C: nothing. Runs user code: what hangs on a buffer event's own buffers, such as
//! a filter, through `trampoline`.
#![allow(unsafe_code)]

use std::rc::Rc;

use crate::error::{Result, cvt, cvt_p};
use crate::{base, ffi, log};

/// A queue of bytes.
///
/// A handle is counted: a clone is the same buffer, as a PHP variable would be.
///
/// PHP: `EventBuffer`. libevent: `struct evbuffer`.
///
/// # Examples
/// ```
/// use php_event::EventBuffer;
///
/// let buffer = EventBuffer::new()?;
/// buffer.add("hello")?;
/// assert_eq!(buffer.length(), 5);
/// # Ok::<(), php_event::EventException>(())
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

/// An object with buffers of its own: they live as long as its native half does.
pub(crate) trait Lender {
    /// The buffer, or why it may not be used: freed, or in a forked child.
    fn evbuffer(&self, call: &'static str, side: Side) -> Result<*mut ffi::evbuffer>;

    /// The base whose callbacks a change of the buffer may run, if it may run any.
    fn base(&self) -> Option<Rc<base::Inner>>;
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
    /// [`Error::Call`](crate::Error::Call) without memory.
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

    /// Whether both are one buffer, whatever handles they are.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        const CALL: &str = "EventBuffer";
        let raw = |buffer: &Self| buffer.with(CALL, |raw| raw).ok();
        raw(self).is_some_and(|this| raw(other) == Some(this))
    }

    /// Calls C with the buffer. A change of a lent one may run callbacks, whose panic comes
    /// out of here.
    pub(crate) fn with<T>(
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

    /// How many bytes are in the buffer; none in one whose owner is gone.
    ///
    /// PHP: the property `EventBuffer::$length`. libevent: `evbuffer_get_length`.
    #[doc(alias = "EventBuffer::$length", alias = "evbuffer_get_length")]
    #[must_use]
    pub fn length(&self) -> usize {
        // SAFETY: `with` gives a buffer that is not freed; the call changes nothing.
        let length = self.with("EventBuffer::$length", |raw| unsafe {
            ffi::evbuffer_get_length(raw)
        });
        length.unwrap_or(0)
    }

    /// Puts a copy of the bytes at the end.
    ///
    /// PHP: `EventBuffer::add`. libevent: `evbuffer_add`.
    ///
    /// # Errors
    /// [`Error::Call`](crate::Error::Call) when the end is frozen.
    #[doc(alias = "EventBuffer::add", alias = "evbuffer_add")]
    pub fn add(&self, data: impl AsRef<[u8]>) -> Result<()> {
        const CALL: &str = "EventBuffer::add";
        let data = data.as_ref();
        // SAFETY: `with` gives a buffer that is not freed; libevent copies `data`.
        let rc = self.with(CALL, |raw| unsafe {
            ffi::evbuffer_add(raw, data.as_ptr().cast(), data.len())
        })?;
        cvt(CALL, rc).map(drop)
    }
}

impl std::fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBuffer")
            .field("length", &self.length())
            .finish_non_exhaustive()
    }
}
