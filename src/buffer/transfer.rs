//! Moving bytes from one buffer to another, chunk by chunk and without copying them.
//!
//! Owns nothing, lends C nothing. Runs user code: as `buffer`. libevent runs the callbacks of a
//! lent target while it still works on a source of which a part stays, and those of a lent source
//! while it still works on the target. In these cases the bytes go through a buffer in between,
//! unless all move and no code of the user's runs.

use php_event_macros::php;

use super::EventBuffer;
use crate::error::Result;
use crate::native::evbuffer::End;

impl EventBuffer {
    /// Moves all bytes of `source` to the end of this buffer, which leaves `source` empty.
    /// Moving a buffer to itself does nothing.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when this buffer's end or the source's front is
    /// frozen, or the source is an output with a file in it. Then nothing is moved.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// let (head, body) = (EventBuffer::new()?, EventBuffer::new()?);
    /// body.add("body")?;
    /// head.add(format!("{}\n", body.length()))?;
    /// head.add_buffer(&body)?;
    /// assert_eq!(head.substr(0, None)?, b"4\nbody");
    /// assert_eq!(body.length(), 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::addBuffer", c = "evbuffer_add_buffer")]
    pub fn add_buffer(&self, source: &Self) -> Result<()> {
        self.take_from(CALL, source, usize::MAX, End::Back)
            .map(drop)
    }

    /// As [`add_buffer`](Self::add_buffer), for another class's method.
    pub(crate) fn add_buffer_as(&self, call: &'static str, source: &Self) -> Result<()> {
        self.take_from(call, source, usize::MAX, End::Back)
            .map(drop)
    }

    /// Moves all bytes of `source` to the front of this buffer, in order, which leaves `source`
    /// empty. Moving a buffer to itself does nothing.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the front of either is frozen, or the source
    /// is an output with a file in it. Then nothing is moved.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// let (head, body) = (EventBuffer::new()?, EventBuffer::new()?);
    /// body.add("body")?;
    /// head.add("head ")?;
    /// body.prepend_buffer(&head)?;
    /// assert_eq!(body.substr(0, None)?, b"head body");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::prependBuffer", c = "evbuffer_prepend_buffer")]
    pub fn prepend_buffer(&self, source: &Self) -> Result<()> {
        self.take_from(CALL, source, usize::MAX, End::Front)
            .map(drop)
    }

    /// Moves up to `length` bytes from the front of `source` to the end of this buffer, and
    /// returns how many. From the buffer itself it moves none.
    ///
    /// # Errors
    /// As [`add_buffer`](Self::add_buffer).
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBuffer;
    /// let (message, received) = (EventBuffer::new()?, EventBuffer::new()?);
    /// received.add("hello world")?;
    /// assert_eq!(message.append_from(&received, 5)?, 5);
    /// assert_eq!(message.append_from(&received, usize::MAX)?, 6);
    /// assert_eq!(message.append_from(&received, 5)?, 0);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBuffer::appendFrom",
        php_note = ", where a negative length moves all: `usize::MAX` does",
        c = "evbuffer_remove_buffer"
    )]
    pub fn append_from(&self, source: &Self, length: usize) -> Result<usize> {
        self.take_from(CALL, source, length, End::Back)
    }

    fn take_from(
        &self,
        call: &'static str,
        source: &Self,
        length: usize,
        end: End,
    ) -> Result<usize> {
        let part = length != usize::MAX && length < source.length();
        if self.is_lent() {
            let meet = source.is_lent() && (self.calls_back() || source.calls_back());
            if part || meet {
                return self.take_through(call, source, length, end);
            }
        }
        self.change(call, |target| {
            source.change_bytes(call, |source| {
                let length = length.min(source.length());
                if length == 0 || source.is(&target) {
                    return Ok(0);
                }
                if part {
                    target.unfrozen(end)?;
                    source.unfrozen(End::Front)?;
                    source.move_part(&target, length);
                } else {
                    target.take_all(&source, end)?;
                }
                Ok(length)
            })
        })
    }

    /// As [`take_from`](Self::take_from), through a buffer in between.
    fn take_through(
        &self,
        call: &'static str,
        source: &Self,
        length: usize,
        end: End,
    ) -> Result<usize> {
        let same = self.look(call, |target| {
            source.look_at_bytes(call, |source| {
                let same = source.is(target) || length == 0 || source.length() == 0;
                if !same {
                    target.unfrozen(end)?;
                }
                Ok(same)
            })
        })?;
        if same {
            return Ok(0);
        }
        let between = Self::new()?;
        let length = between.take_from(call, source, length, End::Back)?;
        let given = self.change(call, |target| {
            between.look(call, |between| target.take_all(between, end))
        });
        if let Err(error) = given {
            // A callback of the source froze the target, or freed its owner.
            source.take_back(call, &between)?;
            return Err(error);
        }
        Ok(length)
    }

    fn take_back(&self, call: &'static str, between: &Self) -> Result<()> {
        self.change(call, |source| {
            between.look(call, |between| source.take_all(between, End::Front))
        })
    }
}
