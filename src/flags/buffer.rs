//! The choices of `EventBuffer`.

use crate::ffi;

/// What ends a line, for [`EventBuffer::read_line`](crate::EventBuffer::read_line) and
/// [`EventBuffer::search_eol`](crate::EventBuffer::search_eol).
///
/// PHP: the constants `EventBuffer::EOL_…`, the same values.
///
/// # Examples
/// ```
/// use php_event::{EolStyle, EventBuffer};
///
/// assert_eq!(EventBuffer::EOL_LF, EolStyle::Lf);
/// assert_eq!(EventBuffer::EOL_LF as u32, 3);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
#[doc(alias = "evbuffer_eol_style")]
pub enum EolStyle {
    /// Any run of CR and LF, as one line end: empty lines are lost.
    #[default]
    Any = ffi::evbuffer_eol_style_EVBUFFER_EOL_ANY,
    /// An LF, optionally after one CR.
    Crlf = ffi::evbuffer_eol_style_EVBUFFER_EOL_CRLF,
    /// Exactly a CR and an LF.
    CrlfStrict = ffi::evbuffer_eol_style_EVBUFFER_EOL_CRLF_STRICT,
    /// An LF.
    Lf = ffi::evbuffer_eol_style_EVBUFFER_EOL_LF,
    /// A zero byte.
    Nul = ffi::evbuffer_eol_style_EVBUFFER_EOL_NUL,
}

/// What a position in a buffer is relative to. No method takes one, as in PHP: positions count
/// from the front.
///
/// PHP: the constants `EventBuffer::PTR_…`, the same values.
///
/// # Examples
/// ```
/// use php_event::{EventBuffer, PtrHow};
///
/// assert_eq!(EventBuffer::PTR_ADD, PtrHow::Add);
/// assert_eq!(EventBuffer::PTR_ADD as u32, 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[doc(alias = "evbuffer_ptr_how")]
pub enum PtrHow {
    /// From the front of the buffer.
    Set = ffi::evbuffer_ptr_how_EVBUFFER_PTR_SET,
    /// From the position before.
    Add = ffi::evbuffer_ptr_how_EVBUFFER_PTR_ADD,
}
