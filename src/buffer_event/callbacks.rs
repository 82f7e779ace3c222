//! The three closures of a buffer event.
//!
//! Owns: the closures. Lends C nothing here.
//! Runs user code: the closures, from the entry points in `entry`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;

use nix::errno::Errno;

use php_event_macros::php;

use super::carrier::Kind;
use super::{EventBufferEvent, Inner, entry};
use crate::error::{Error, Result};
use crate::flags::{BufferEventFlags, EventFlags};
use crate::runtime::{Called, Ending, Slot};

type Data = dyn FnMut(&EventBufferEvent);
type Happening = dyn FnMut(&EventBufferEvent, BufferEventFlags);

/// The closures of a buffer event.
pub(crate) struct Closures {
    read: Slot<Data>,
    write: Slot<Data>,
    event: Slot<Happening>,
    set: Cell<[bool; 3]>, // which of the three there are; a slot is empty while its closure runs
}

impl Default for Closures {
    fn default() -> Self {
        Self {
            read: Slot::empty(),
            write: Slot::empty(),
            event: Slot::empty(),
            set: Cell::default(),
        }
    }
}

/// Closures that were taken out, to be dropped when nothing is borrowed.
#[derive(Default)]
pub(super) struct Taken {
    read: Option<Box<Data>>,
    write: Option<Box<Data>>,
    event: Option<Box<Happening>>,
}

impl Taken {
    /// Drops them, each on its own.
    pub(super) fn end(self, ending: &mut Ending) {
        ending.drop(self.read);
        ending.drop(self.write);
        ending.drop(self.event);
    }
}

impl Closures {
    #[must_use]
    fn replace(&self, new: Taken) -> Taken {
        self.set
            .set([new.read.is_some(), new.write.is_some(), new.event.is_some()]);
        Taken {
            read: self.read.set(new.read),
            write: self.write.set(new.write),
            event: self.event.set(new.event),
        }
    }

    #[must_use]
    pub(super) fn take(&self) -> Taken {
        self.replace(Taken::default())
    }
}

impl Inner {
    /// Tells C which callbacks there are, so that it schedules no others.
    pub(super) fn arm(&self) {
        if self.covered.get() || self.kind() == Kind::View {
            return;
        }
        let [read, write, event] = self.closures.set.get();
        let event = event || self.kind() != Kind::Socket; // `go_on_after` needs it
        // SAFETY: the entry points take their argument for an `Inner`.
        unsafe {
            self.place.set_callbacks(
                read.then_some(entry::on_read),
                write.then_some(entry::on_write),
                event.then_some(entry::on_event),
            );
        }
    }

    /// Gives the callbacks back when the filter on top ends; or none, if this ends with it.
    pub(super) fn uncover(&self, goes_on: bool) {
        self.covered.set(false);
        if goes_on {
            self.arm();
        } else {
            // SAFETY: no entry point is set.
            unsafe { self.place.set_callbacks(None, None, None) };
        }
    }

    /// What the event callback gets, if it runs at all.
    pub(super) fn what_happened(
        self: &std::rc::Rc<Self>,
        what: BufferEventFlags,
    ) -> Option<BufferEventFlags> {
        let what = self.without_ends_told(what)?;
        #[cfg(feature = "openssl")]
        let what = self.translate(what)?;
        if what.contains(BufferEventFlags::CONNECTED) {
            self.relay_callbacks(); // the end of a handshake sets libevent's own anew
        }
        Some(what)
    }

    /// libevent reports the end of a pair's half with each flush. Leaves out the ends that were
    /// reported since their direction was enabled.
    fn without_ends_told(&self, what: BufferEventFlags) -> Option<BufferEventFlags> {
        if !what.contains(BufferEventFlags::EOF) || self.ended.get().is_empty() {
            return Some(what);
        }
        let left = what.difference(directions(self.ended.get()));
        let is_new = left.intersects(BufferEventFlags::READING | BufferEventFlags::WRITING);
        is_new.then_some(left)
    }

    /// Does what libevent does only on a socket, before the event callback.
    pub(super) fn go_on_after(&self, what: BufferEventFlags) {
        if self.kind() == Kind::Pair && what.contains(BufferEventFlags::EOF) {
            self.ended.set(self.ended.get() | ended(what));
        }
        self.disable_ended(what);
        #[cfg(feature = "openssl")]
        self.write_on(what);
    }

    /// Disables the direction that has ended, failed or timed out. Otherwise its timeout would
    /// come after its end, and with TLS again and again.
    fn disable_ended(&self, what: BufferEventFlags) {
        let end = BufferEventFlags::EOF | BufferEventFlags::ERROR;
        let end = match self.kind() {
            Kind::Socket => return,
            Kind::Pair | Kind::Filter => end, // a timeout has disabled its direction
            _ => end | BufferEventFlags::TIMEOUT,
        };
        if !what.intersects(end) {
            return;
        }
        let mut ended = ended(what);
        if ended.is_empty() {
            // The handshake, or what is below a filter.
            ended = match what.contains(BufferEventFlags::EOF) {
                true => EventFlags::READ,
                false => EventFlags::READ | EventFlags::WRITE,
            };
        }
        if ended.contains(EventFlags::READ) && self.has_more_to_read() {
            ended.remove(EventFlags::READ);
        }
        if let Ok(view) = self.usable("") {
            view.disable("", ended).ok(); // it only takes events out of the backend
        }
        if ended.contains(EventFlags::READ) {
            drop(self.pause.end());
        }
    }

    /// Whether bytes that have come wait for the read callback to make room.
    fn has_more_to_read(&self) -> bool {
        let waits_below = || self.below().any(|under| under.input().length() > 0);
        match self.kind() {
            Kind::Pair => self.pause.is_on(),
            Kind::Filter => self.pause.is_on() || waits_below(),
            _ => false,
        }
    }
}

/// The directions that an event is about.
fn ended(what: BufferEventFlags) -> EventFlags {
    let mut ended = EventFlags::empty();
    ended.set(EventFlags::READ, what.contains(BufferEventFlags::READING));
    ended.set(EventFlags::WRITE, what.contains(BufferEventFlags::WRITING));
    ended
}

/// The flags of an event for these directions.
fn directions(events: EventFlags) -> BufferEventFlags {
    let mut flags = BufferEventFlags::empty();
    flags.set(BufferEventFlags::READING, events.contains(EventFlags::READ));
    flags.set(
        BufferEventFlags::WRITING,
        events.contains(EventFlags::WRITE),
    );
    flags
}

impl EventBufferEvent {
    pub(super) fn call_read(&self) -> Called {
        let called = match self.0.is_stale() {
            true => Called::Ran,
            false => self.0.closures.read.call(|f| f(self)),
        };
        self.refill();
        if called == Called::Ran {
            self.pause_if_full();
        }
        called
    }

    pub(super) fn call_write(&self) -> Called {
        match self.0.has_more_to_write() {
            true => Called::Ran,
            false => self.0.closures.write.call(|f| f(self)),
        }
    }

    pub(super) fn call_event(&self, what: BufferEventFlags, errno: i32) -> Called {
        self.0.go_on_after(what);
        self.0.closures.event.call(|f| {
            Errno::set_raw(errno);
            f(self, what);
        })
    }
}

/// The closures of a buffer event, for [`EventBufferEvent::set_callbacks`]: for data that came
/// in, for data that was sent, and for everything else that happens. Each may be left out.
///
/// Each closure gets the handle of its buffer event. Do not capture one: the buffer event would
/// keep itself alive. Capture what PHP passes as `$arg`.
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
#[must_use = "closures do nothing until set_callbacks sets them"]
#[doc(alias = "bufferevent_data_cb", alias = "bufferevent_event_cb")]
pub struct Callbacks(Taken);

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
    pub fn new() -> Self {
        Self::default()
    }

    /// Called when data came in and the input holds at least the read low mark.
    ///
    /// Data that the closure leaves in the input does not call it again, unless the input is at
    /// its high mark (see [`EventBufferEvent::set_watermark`]); more data does. At most 4096
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
    pub fn on_read(mut self, callback: impl FnMut(&EventBufferEvent) + 'static) -> Self {
        self.0.read = Some(Box::new(callback));
        self
    }

    /// Called when the output was sent, or all but the write low mark of it. For a filter that
    /// means that the bytes have reached the output of what is under it, which goes on sending
    /// if the filter is freed here.
    ///
    /// [`EventBufferEvent::enable`] with `WRITE` also calls it once, even if nothing was written.
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
    pub fn on_write(mut self, callback: impl FnMut(&EventBufferEvent) + 'static) -> Self {
        self.0.write = Some(Box::new(callback));
        self
    }

    /// Called when the connection is established, at its end, on an error and on a timeout.
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
    pub fn on_event(
        mut self,
        callback: impl FnMut(&EventBufferEvent, BufferEventFlags) + 'static,
    ) -> Self {
        self.0.event = Some(Box::new(callback));
        self
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("read", &self.0.read.is_some())
            .field("write", &self.0.write.is_some())
            .field("event", &self.0.event.is_some())
            .finish()
    }
}

impl EventBufferEvent {
    /// Replaces all three closures. Those that `callbacks` lacks are removed.
    ///
    /// A closure that is running is dropped when it returns. While a filter is on top of this
    /// buffer event its closures are not called. A running closure is not entered again: if it
    /// causes another call of itself, such as a write callback that writes through a filter, that
    /// call comes in the next turn of the loop.
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
    /// bev.set_callbacks(Callbacks::new())?; // removes it
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
    #[php(
        "EventBufferEvent::setCallbacks",
        php_note = ", which keeps the old `$arg` if none is given; here a closure's captures go with it",
        c = "bufferevent_setcb"
    )]
    pub fn set_callbacks(&self, callbacks: Callbacks) -> Result<()> {
        self.0.usable(CALL)?;
        if self.0.kind() == Kind::View {
            return Err(Error::State {
                call: CALL,
                reason: "the buffer event belongs to an HTTP connection, which needs its own",
            });
        }
        let before = self.0.closures.replace(callbacks.0);
        self.0.arm();
        let mut ending = Ending::default();
        before.end(&mut ending); // nothing is borrowed
        ending.finish();
        Ok(())
    }
}
