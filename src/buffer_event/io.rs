//! What goes into a buffer event and comes out of it.
//!
//! Owns, lends to C: nothing. Runs user code: the callbacks and closures of filters, which
//! libevent calls as soon as their buffers change.
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;

use php_event_macros::php;
use socket2::SockRef;

use super::EventBufferEvent;
use crate::buffer::{EventBuffer, Lender as _, Side, in_memory};
use crate::error::Result;

impl EventBufferEvent {
    /// Queues a copy of the bytes; the loop writes them out. Never blocks.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked);
    /// [`Error::Call`](crate::Error::Call) when out of memory.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.write("hello")?;
    /// peer.enable(Event::READ)?;
    /// assert_eq!(peer.read(9)?.as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::write", c = "bufferevent_write")]
    pub fn write(&self, data: impl AsRef<[u8]>) -> Result<()> {
        let data = data.as_ref();
        self.0.change(CALL, Side::Output, |view| match data {
            [] => Ok(()),
            _ => view.add(data),
        })
    }

    /// Queues all that is in `buffer`, which is empty afterwards; nothing is copied.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the front of `buffer` is frozen;
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked), for
    /// `buffer` too.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let answer = php_event::EventBuffer::new()?;
    /// answer.add("hello")?;
    /// bev.write_buffer(&answer)?;
    /// assert_eq!((answer.length(), bev.output().length()), (0, 5));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::writeBuffer", c = "bufferevent_write_buffer")]
    pub fn write_buffer(&self, buffer: &EventBuffer) -> Result<()> {
        self.0.usable(CALL)?;
        self.output().add_buffer_as(CALL, buffer)
    }

    /// Whether the peer has sent something that was not read, or has ended, which no callback may
    /// have told yet. To be asked about a socket whose output is empty.
    pub(crate) fn has_news(&self) -> bool {
        if self.0.length(Side::Input) != Some(0) {
            return true;
        }
        #[cfg(feature = "openssl")]
        if let Some(tls) = self.0.tls() {
            return tls.has_news();
        }
        let byte = &mut [MaybeUninit::uninit()];
        let peeked = self
            .0
            .source()
            .map(|socket| SockRef::from(&*socket).peek(byte));
        !matches!(peeked, Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Takes up to `size` bytes from the input; `None` when there are none, or for 0. More
    /// than 2 GiB come in several calls.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// peer.write("hello")?;
    /// bev.enable(Event::READ)?;
    /// assert_eq!(bev.read(4)?.as_deref(), Some(&b"hell"[..]));
    /// assert_eq!(bev.read(4)?.as_deref(), Some(&b"o"[..]));
    /// assert_eq!(bev.read(4)?, None);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::read", c = "bufferevent_read")]
    pub fn read(&self, size: usize) -> Result<Option<Vec<u8>>> {
        self.input().read_as(CALL, size)
    }

    /// Takes bytes from the input into `room`, as many as there are and fit, and returns the part
    /// of `room` that is set then. As [`read`](Self::read), without memory of its own.
    ///
    /// # Errors
    /// As [`EventBuffer::read_into`] of the input.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// peer.write("hello")?;
    /// bev.enable(Event::READ)?;
    /// let mut room = Vec::with_capacity(4);
    /// assert_eq!(bev.read_into(&mut room.spare_capacity_mut()[..4])?, b"hell");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "bufferevent_read", call = "EventBufferEvent::read_into")]
    pub fn read_into<'r>(&self, room: &'r mut [MaybeUninit<u8>]) -> Result<&'r [u8]> {
        self.0.change(CALL, Side::Input, |view| {
            in_memory(CALL, &view)?;
            view.take_into_unset(room)
        })
    }

    /// Moves all of the input to the end of `buffer`; nothing is copied.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the end of `buffer` is frozen;
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked), for
    /// `buffer` too.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let all = php_event::EventBuffer::new()?;
    /// peer.write("hello")?;
    /// bev.enable(Event::READ)?;
    /// bev.read_buffer(&all)?;
    /// assert_eq!((all.length(), bev.input().length()), (5, 0));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::readBuffer", c = "bufferevent_read_buffer")]
    pub fn read_buffer(&self, buffer: &EventBuffer) -> Result<()> {
        self.0.usable(CALL)?;
        buffer.add_buffer_as(CALL, &self.input())
    }

    /// The buffer of what came in and was not taken yet.
    ///
    /// Its end is frozen: only the loop adds. It counts on this object; once that is freed,
    /// the buffer's calls return [`Error::Freed`](crate::Error::Freed).
    ///
    /// PHP: the property `EventBufferEvent::$input`. libevent: `bufferevent_get_input`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// use php_event::EventBuffer;
    ///
    /// peer.write("GET / HTTP/1.0\r\n")?;
    /// bev.enable(Event::READ)?;
    /// let line = bev.input().read_line(EventBuffer::EOL_CRLF)?;
    /// assert_eq!(line.as_deref(), Some(&b"GET / HTTP/1.0"[..]));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBufferEvent::$input", alias = "bufferevent_get_input")]
    #[must_use]
    pub fn input(&self) -> EventBuffer {
        EventBuffer::lent(Rc::clone(&self.0) as _, Side::Input)
    }

    /// The buffer of bytes to send.
    ///
    /// Its front is frozen: only the loop takes away. It counts on this object; once that is
    /// freed, the buffer's calls return [`Error::Freed`](crate::Error::Freed).
    ///
    /// PHP: the property `EventBufferEvent::$output`. libevent: `bufferevent_get_output`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.output().add("hello")?;
    /// peer.enable(Event::READ)?;
    /// assert_eq!(peer.input().length(), 5);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBufferEvent::$output", alias = "bufferevent_get_output")]
    #[must_use]
    pub fn output(&self) -> EventBuffer {
        EventBuffer::lent(Rc::clone(&self.0) as _, Side::Output)
    }

    /// As [`input`](Self::input), but an error when this object is freed.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let input = bev.get_input()?;
    /// bev.free();
    /// assert!(bev.get_input().is_err() && input.read(1).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::getInput", c = "bufferevent_get_input")]
    pub fn get_input(&self) -> Result<EventBuffer> {
        self.0.usable(CALL)?;
        Ok(self.input())
    }

    /// As [`output`](Self::output), but an error when this object is freed.
    ///
    /// # Errors
    /// [`Error::Freed`](crate::Error::Freed), [`Error::Forked`](crate::Error::Forked).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let output = bev.get_output()?;
    /// output.add("hello")?;
    /// bev.free();
    /// assert!(bev.get_output().is_err() && output.add("more").is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBufferEvent::getOutput", c = "bufferevent_get_output")]
    pub fn get_output(&self) -> Result<EventBuffer> {
        self.0.usable(CALL)?;
        Ok(self.output())
    }
}
