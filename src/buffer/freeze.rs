//! Freezing the ends of a buffer, and PHP's locks, which a buffer does not need.
//!
//! Owns nothing, lends C nothing. Runs no user code.

use php_event_macros::php;

use super::EventBuffer;
use crate::error::{Error, Result};
use crate::native::evbuffer::End;

fn end(at_front: bool) -> End {
    if at_front { End::Front } else { End::Back }
}

impl EventBuffer {
    /// Freezes the front, so that nothing is taken from it or put before it, or the end, so that
    /// nothing is added. Freezing is not counted: one [`unfreeze`](Self::unfreeze) is enough.
    ///
    /// # Errors
    /// [`Error::State`] for a lent buffer: libevent relies on the ends that it uses, and ends the
    /// process if some of them are frozen.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.add("hello")?;
    /// buffer.freeze(true)?;
    /// assert!(buffer.read(5).is_err());
    /// assert_eq!(buffer.substr(0, None)?, b"hello");
    /// buffer.add(" world")?;
    /// buffer.unfreeze(true)?;
    /// assert_eq!(buffer.read(5)?.as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::freeze", c = "evbuffer_freeze")]
    pub fn freeze(&self, at_front: bool) -> Result<()> {
        self.look(CALL, |view| {
            if self.is_lent() {
                return Err(Error::State {
                    call: CALL,
                    reason: "the buffer is lent; move its bytes to one of your own and freeze that",
                });
            }
            view.set_frozen(end(at_front), true);
            Ok(())
        })
    }

    /// Undoes [`freeze`](Self::freeze). Does nothing to an end that is not frozen.
    ///
    /// libevent freezes the front of a buffer event's output and the end of its input. Unfreeze
    /// the front of the output to take back what waits to be sent; libevent freezes it again when
    /// it next uses it.
    ///
    /// # Errors
    /// [`Error::State`] for the buffers of an HTTP connection's buffer event, and with TLS for
    /// the front of the output and the end of the input; for a lent buffer [`Error::Freed`] and
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.freeze(false)?;
    /// assert!(buffer.add("x").is_err());
    /// buffer.unfreeze(false)?;
    /// buffer.add("x")?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBuffer::unfreeze", c = "evbuffer_unfreeze")]
    pub fn unfreeze(&self, at_front: bool) -> Result<()> {
        self.look(CALL, |view| {
            let end = end(at_front);
            if view.is_closed(end) {
                return Err(view.frozen(end));
            }
            view.set_frozen(end, false);
            Ok(())
        })
    }

    /// Does nothing: a buffer belongs to one thread.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.lock();
    /// buffer.add("x")?;
    /// buffer.unlock();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventBuffer::lock",
        php_note = ", which has no effect there either",
        c = "evbuffer_lock",
        c_note = ", which is not called"
    )]
    pub fn lock(&self) {}
    /// Does nothing, see [`lock`](Self::lock).
    ///
    /// PHP: `EventBuffer::unlock`. libevent: `evbuffer_unlock`, which is not called.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.unlock(); // no error without a lock
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::unlock", alias = "evbuffer_unlock")]
    pub fn unlock(&self) {}

    /// Does nothing, see [`lock`](Self::lock).
    ///
    /// PHP: `EventBuffer::enableLocking`. libevent: `evbuffer_enable_locking`, which is not
    /// called.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.enable_locking();
    /// buffer.lock();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBuffer::enableLocking",
        alias = "evbuffer_enable_locking"
    )]
    pub fn enable_locking(&self) {}
}
