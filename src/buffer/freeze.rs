//! Freezing the ends of a buffer, and the locks that it does not need.
//!
//! Owns, lends to C: nothing. Runs no user code.

use super::{End, EventBuffer};
use crate::error::{Error, Result};

impl End {
    fn at(at_front: bool) -> Self {
        if at_front { Self::Front } else { Self::Back }
    }
}

impl EventBuffer {
    /// Freezes the front, from which nothing is then taken and before which nothing is put,
    /// or the end, at which nothing is added. It is not counted: one unfreeze is enough.
    ///
    /// PHP: `EventBuffer::freeze`. libevent: `evbuffer_freeze`.
    ///
    /// # Errors
    /// [`Error::State`] for a lent buffer: libevent counts on the ends it uses, and would
    /// end the process over some of them.
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
    #[doc(alias = "EventBuffer::freeze", alias = "evbuffer_freeze")]
    pub fn freeze(&self, at_front: bool) -> Result<()> {
        const CALL: &str = "EventBuffer::freeze";
        self.native_files(CALL, |buffer| {
            if self.is_lent() {
                return Err(Error::State {
                    call: CALL,
                    reason: "the buffer is lent; move its bytes to one of your own and freeze that",
                });
            }
            buffer.set_frozen(End::at(at_front), true);
            Ok(())
        })
    }

    /// Undoes [`freeze`](Self::freeze); an end that is not frozen stays so.
    ///
    /// The output's front and the input's end of a buffer event are frozen by libevent:
    /// unfrozen, what waits to be sent can be taken back, until libevent freezes them again
    /// when it next uses them.
    ///
    /// PHP: `EventBuffer::unfreeze`. libevent: `evbuffer_unfreeze`.
    ///
    /// # Errors
    /// For a lent buffer [`Error::Freed`] and [`Error::Forked`]; [`Error::State`] for those
    /// of an HTTP connection's buffer event.
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
    #[doc(alias = "EventBuffer::unfreeze", alias = "evbuffer_unfreeze")]
    pub fn unfreeze(&self, at_front: bool) -> Result<()> {
        self.native_files("EventBuffer::unfreeze", |buffer| {
            let end = End::at(at_front);
            if buffer.is_read_only() {
                return Err(buffer.frozen(end));
            }
            buffer.set_frozen(end, false);
            Ok(())
        })
    }

    /// Does nothing: a buffer belongs to one thread, so nobody is there to keep out.
    ///
    /// PHP: `EventBuffer::lock`, which shows no effect either. libevent: `evbuffer_lock`,
    /// which is not called.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.lock();
    /// buffer.add("x")?;
    /// buffer.unlock();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBuffer::lock", alias = "evbuffer_lock")]
    pub fn lock(&self) {}

    /// Does nothing, see [`lock`](Self::lock); as often as one likes.
    ///
    /// PHP: `EventBuffer::unlock`. libevent: `evbuffer_unlock`, which is not called.
    ///
    /// # Examples
    /// ```
    /// # let buffer = php_event::EventBuffer::new()?;
    /// buffer.unlock(); // though it was not locked
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
