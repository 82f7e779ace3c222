//! Finding bytes and lines.
//!
//! Owns nothing, lends C nothing. Runs user code: as `buffer`.

use php_event_macros::php;

use super::EventBuffer;
use super::read::inside;
use crate::error::Result;
use crate::flags::EolStyle;

impl EventBuffer {
    /// Takes a line from the front and returns it without its line ending; `None` when there is
    /// no complete line yet. The line may contain zero bytes.
    ///
    /// [`EOL_ANY`](Self::EOL_ANY) treats a run of CR and LF as one line ending. If a CR LF arrives
    /// in two pieces, it gives an empty line for the second.
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
    #[php("EventBuffer::readLine", c = "evbuffer_readln")]
    pub fn read_line(&self, eol_style: EolStyle) -> Result<Option<Vec<u8>>> {
        self.change_bytes(CALL, |view| {
            let Some((at, end)) = view.search_eol(0, eol_style) else {
                return Ok(None);
            };
            let mut line = view.take(at + end)?;
            line.truncate(at);
            Ok(Some(line))
        })
    }

    /// The lengths of the first line and of its end; `None` when no line is complete yet.
    ///
    /// [`read_into`](Self::read_into) takes both together.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when a file is in the buffer.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBuffer;
    ///
    /// let buffer = EventBuffer::from("one\r\ntwo");
    /// assert_eq!(buffer.find_line(EventBuffer::EOL_CRLF)?, Some((3, 2)));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "evbuffer_search_eol", call = "EventBuffer::find_line")]
    pub fn find_line(&self, eol_style: EolStyle) -> Result<Option<(usize, usize)>> {
        self.look_at_bytes(CALL, |view| Ok(view.search_eol(0, eol_style)))
    }

    /// Finds the first occurrence of `what` that lies completely between `start` and `end`, and
    /// returns its position. An `end` of `None`, or one past the end of the buffer, means the end
    /// of the buffer. An empty `what` is found at `start`.
    ///
    /// The time is proportional to the bytes searched, whatever they are.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) when `start` is greater than the length,
    /// where PHP warns and searches from the front; [`Error::Call`](crate::Error::Call) without
    /// memory for a table as long as `what`.
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
    #[php(
        "EventBuffer::search",
        c = "evbuffer_search_range",
        c_note = ", which is not called: its time is proportional to both lengths multiplied"
    )]
    #[doc(alias = "evbuffer_search")]
    pub fn search(
        &self,
        what: impl AsRef<[u8]>,
        start: usize,
        end: Option<usize>,
    ) -> Result<Option<usize>> {
        let what = what.as_ref();
        self.look_at_bytes(CALL, |view| {
            let length = view.length();
            inside(CALL, start, length)?;
            let end = end.map_or(length, |end| end.min(length));
            if start > end {
                return Ok(None);
            }
            if what.is_empty() {
                return Ok(Some(start));
            }
            view.search(what, start, end)
        })
    }

    /// Finds the ending of the line that begins at `start`, and returns its position; `None` when
    /// the line is not complete.
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
    #[php(
        "EventBuffer::searchEol",
        php_note = ", whose arguments default to 0 and `EOL_ANY`",
        c = "evbuffer_search_eol"
    )]
    pub fn search_eol(&self, start: usize, eol_style: EolStyle) -> Result<Option<usize>> {
        self.look_at_bytes(CALL, |view| {
            inside(CALL, start, view.length())?;
            Ok(view.search_eol(start, eol_style).map(|(at, _end)| at))
        })
    }
}
