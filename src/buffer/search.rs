//! Finding bytes and lines.
//!
//! Owns, lends to C: nothing. Runs user code: as `buffer`.

use super::read::{copy, inside};
use super::{End, EventBuffer};
use crate::error::Result;
use crate::flags::EolStyle;

impl EventBuffer {
    /// Takes a line from the front and returns it without its end; `None` when there is no
    /// complete line yet. Zero bytes in it are kept.
    ///
    /// [`EOL_ANY`](Self::EOL_ANY) takes a run of CR and LF for one end, so it may take a
    /// line's end in two pieces for a line and an empty one when the second comes later.
    ///
    /// PHP: `EventBuffer::readLine`. libevent: `evbuffer_readln`.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the front is frozen.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// # let buffer = EventBuffer::new()?;
    /// buffer.add("one\r\ntwo\nthr")?;
    /// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?.as_deref(), Some(&b"one"[..]));
    /// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?.as_deref(), Some(&b"two"[..]));
    /// assert_eq!(buffer.read_line(EventBuffer::EOL_CRLF)?, None);
    /// assert_eq!(buffer.length(), 3);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::readLine", alias = "evbuffer_readln")]
    pub fn read_line(&self, eol_style: EolStyle) -> Result<Option<Vec<u8>>> {
        self.native("EventBuffer::readLine", |buffer| {
            let Some((at, end)) = buffer.search_eol(0, eol_style) else {
                return Ok(None);
            };
            buffer.unfrozen(End::Front)?;
            let line = copy(&buffer, 0, at);
            buffer.drain(at + end)?;
            Ok(Some(line))
        })
    }

    /// Where `what` first lies wholly between `start` and `end`, counted from the front of the
    /// buffer; an `end` of `None`, or past the buffer's, is the buffer's end.
    ///
    /// Nothing at all is found at `start`.
    ///
    /// PHP: `EventBuffer::search`. libevent: `evbuffer_search_range`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when `start` is greater than the length,
    /// where PHP warns and searches from the front.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("a=1&b=2&a=3")?;
    /// assert_eq!(buffer.search("a=", 0, None)?, Some(0));
    /// assert_eq!(buffer.search("a=", 1, None)?, Some(8));
    /// assert_eq!(buffer.search("a=", 1, Some(9))?, None); // only half of it before 9
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBuffer::search",
        alias = "evbuffer_search",
        alias = "evbuffer_search_range"
    )]
    pub fn search(
        &self,
        what: impl AsRef<[u8]>,
        start: usize,
        end: Option<usize>,
    ) -> Result<Option<usize>> {
        const CALL: &str = "EventBuffer::search";
        let what = what.as_ref();
        self.native(CALL, |buffer| {
            let length = buffer.length();
            inside(CALL, start, length)?;
            let end = end.map_or(length, |end| end.min(length));
            if start > end {
                return Ok(None);
            }
            if what.is_empty() {
                return Ok(Some(start));
            }
            Ok(buffer.search(what, start, end))
        })
    }

    /// Where the end of the line that begins at `start` begins, counted from the front of the
    /// buffer; `None` when the line has none.
    ///
    /// PHP: `EventBuffer::searchEol`, whose arguments are 0 and `EOL_ANY` when left out.
    /// libevent: `evbuffer_search_eol`.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when `start` is greater than the length,
    /// where PHP warns and searches from the front.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// # let buffer = EventBuffer::new()?;
    /// buffer.add("one\r\ntwo\n")?;
    /// assert_eq!(buffer.search_eol(0, EventBuffer::EOL_CRLF)?, Some(3));
    /// assert_eq!(buffer.search_eol(5, EventBuffer::EOL_CRLF)?, Some(8));
    /// assert_eq!(buffer.search_eol(5, EventBuffer::EOL_NUL)?, None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::searchEol", alias = "evbuffer_search_eol")]
    pub fn search_eol(&self, start: usize, eol_style: EolStyle) -> Result<Option<usize>> {
        const CALL: &str = "EventBuffer::searchEol";
        self.native(CALL, |buffer| {
            inside(CALL, start, buffer.length())?;
            Ok(buffer.search_eol(start, eol_style).map(|(at, _end)| at))
        })
    }
}
