//! The three closures of a buffer event.
//!
//! Owns: closures on their way into a buffer event. Lends to C, runs user code: nothing;
//! see `trampoline`.

use std::fmt;

use super::EventBufferEvent;
use crate::error::{Error, Result};
use crate::flags::BufferEventFlags;

pub(crate) type Data = dyn FnMut(&EventBufferEvent);
pub(crate) type Happening = dyn FnMut(&EventBufferEvent, BufferEventFlags);

/// The closures that [`EventBufferEvent::set_callbacks`] sets: for data that came in, for
/// data that went out, and for what else happened. Those not given are none.
///
/// Each gets the buffer event's own handle, which it therefore need not capture: a captured
/// one would keep the buffer event for ever. What PHP passes as `$arg` a closure captures.
///
/// PHP: the parameters `$readcb`, `$writecb`, `$eventcb` of `EventBufferEvent::__construct`
/// and `EventBufferEvent::setCallbacks`. libevent: `bufferevent_data_cb`,
/// `bufferevent_event_cb`.
///
/// # Examples
/// ```
/// use php_event::{Callbacks, EventBufferEvent};
///
/// let callbacks = Callbacks::new()
///     .on_read(|bev| println!("{:?}", bev.read(1024)))
///     .on_event(|bev, what| {
///         if what.intersects(EventBufferEvent::EOF | EventBufferEvent::ERROR) {
///             bev.free();
///         }
///     });
/// # drop(callbacks);
/// ```
#[derive(Default)]
#[doc(alias = "bufferevent_data_cb", alias = "bufferevent_event_cb")]
pub struct Callbacks {
    read: Option<Box<Data>>,
    write: Option<Box<Data>>,
    event: Option<Box<Happening>>,
}

impl Callbacks {
    /// No closures.
    ///
    /// PHP: three times `null`.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(
    ///     format!("{:?}", php_event::Callbacks::new()),
    ///     "Callbacks { read: false, write: false, event: false }"
    /// );
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Called when data came in and at least the read low watermark of it waits.
    ///
    /// Data that is left in the input does not call it again; more data does. At most 4096
    /// bytes come in between two calls.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_callbacks(Callbacks::new().on_read(|bev| {
    ///     assert_eq!(bev.read(9).unwrap().as_deref(), Some(&b"hello"[..]));
    /// }))?;
    /// bev.enable(Event::READ)?;
    /// peer.write("hello")?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn on_read(mut self, callback: impl FnMut(&EventBufferEvent) + 'static) -> Self {
        self.read = Some(Box::new(callback));
        self
    }

    /// Called when the output has gone out, but for the write low watermark's bytes.
    ///
    /// [`EventBufferEvent::enable`] with `WRITE` calls it once, too, though nothing was written.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_callbacks(Callbacks::new().on_write(|bev| bev.free()))?; // when all is sent
    /// peer.enable(Event::READ)?;
    /// bev.write("goodbye")?;
    /// base.dispatch()?;
    /// assert!(bev.get_enabled().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn on_write(mut self, callback: impl FnMut(&EventBufferEvent) + 'static) -> Self {
        self.write = Some(Box::new(callback));
        self
    }

    /// Called when the connection stands, at its end, on an error, and on a timeout.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// bev.set_callbacks(Callbacks::new().on_event(|bev, what| {
    ///     assert_eq!(what, EventBufferEvent::READING | EventBufferEvent::EOF);
    ///     bev.free();
    /// }))?;
    /// peer.flush(Event::WRITE, php_event::FlushMode::Finished)?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn on_event(
        mut self,
        callback: impl FnMut(&EventBufferEvent, BufferEventFlags) + 'static,
    ) -> Self {
        self.event = Some(Box::new(callback));
        self
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("read", &self.read.is_some())
            .field("write", &self.write.is_some())
            .field("event", &self.event.is_some())
            .finish()
    }
}

impl EventBufferEvent {
    /// Sets all three closures; those that `callbacks` does not have are none from now on.
    ///
    /// In a running callback, its closure is dropped when it returns. While a filter is on
    /// top of this object they wait until the filter is gone. A closure that is running is
    /// not entered a second time: what it causes itself, as a write callback that writes
    /// through a filter, calls it again in the next turn.
    ///
    /// PHP: `EventBufferEvent::setCallbacks`. libevent: `bufferevent_setcb`. Where PHP keeps
    /// an old `$arg` if none is given, a closure's captures are replaced with it.
    ///
    /// # Errors
    /// [`Error::State`] for the buffer event of an HTTP connection, which needs its own;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, Event, EventBase, EventBufferEvent};
    /// # let base = EventBase::new()?;
    /// # let (bev, peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
    /// let greeting = String::from("hello"); // what PHP gives as $arg
    /// bev.set_callbacks(Callbacks::new().on_write(move |bev| drop(bev.write(&greeting))))?;
    /// bev.set_callbacks(Callbacks::new())?; // none any more
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    ///
    /// A closure owns what it uses:
    /// ```compile_fail,E0373
    /// # use php_event::{BufferEventOptions, Callbacks, EventBase, EventBufferEvent};
    /// # let base = EventBase::new().unwrap();
    /// # let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
    /// let count = std::cell::Cell::new(0);
    /// bev.set_callbacks(Callbacks::new().on_read(|_bev| count.set(1))).unwrap();
    /// # drop(bev);
    /// ```
    /// ```
    /// # use php_event::{BufferEventOptions, Callbacks, EventBase, EventBufferEvent};
    /// # let base = EventBase::new().unwrap();
    /// # let bev = EventBufferEvent::unconnected(&base, BufferEventOptions::empty()).unwrap();
    /// let count = std::rc::Rc::new(std::cell::Cell::new(0));
    /// bev.set_callbacks(Callbacks::new().on_read(move |_bev| count.set(1))).unwrap();
    /// # drop(bev);
    /// ```
    #[doc(alias = "EventBufferEvent::setCallbacks", alias = "bufferevent_setcb")]
    pub fn set_callbacks(&self, callbacks: Callbacks) -> Result<()> {
        const CALL: &str = "EventBufferEvent::setCallbacks";
        self.0.usable(CALL)?;
        if self.0.kind == super::Kind::View {
            return Err(Error::State {
                call: CALL,
                reason: "the buffer event belongs to an HTTP connection, which needs its own",
            });
        }
        let Callbacks { read, write, event } = callbacks;
        drop(self.0.set_closures(read, write, event)); // no borrow is held
        Ok(())
    }
}
