//! `EventWith`: an event with a value of its user's in the same memory, which its callback gets.
//!
//! Owns: what [`Inner`] has, the value among it. Lends C what that does.
//! Runs user code: the value's [`Handler::fire`], in the loop; its destructor, with the last handle.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fmt;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::time::Duration;

use super::closure::{Callback, Closure, Later};
use super::inner::{Inner, Kind, REASONS};
use super::{Event, check_descriptor, check_number, check_signal};
use crate::EventBase;
use crate::error::Result;
use crate::flags::EventFlags;

/// What the callback of an [`EventWith`] does.
pub trait Handler: 'static {
    /// The event has fired, for the reasons in `what`.
    ///
    /// A panic deletes the event, and comes out of the loop.
    fn fire(&self, event: &Event, what: EventFlags);
}

/// For embedders: an [`Event`] and the embedder's value in one piece of memory. The binding of
/// another language keeps there what its own object has to know, and gets one pointer for both.
///
/// In all else it is an [`Event`]. The event's callback and handles share the value, so it is
/// changed through cells. It is dropped with the last handle, not, like a closure, when the event
/// is freed.
///
/// # Examples
/// ```
/// use php_event::{Event, EventBase, EventFlags, EventWith, Handler};
/// use std::cell::Cell;
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct Count(Cell<u32>);
///
/// impl Handler for Count {
///     fn fire(&self, _event: &Event, _what: EventFlags) {
///         self.0.set(self.0.get() + 1);
///     }
/// }
///
/// let base = EventBase::new()?;
/// let timer = EventWith::timer(&base, Count::default())?;
/// timer.add(Some(Duration::ZERO))?;
/// base.dispatch()?;
/// assert_eq!(timer.handler().0.get(), 1);
/// # Ok::<(), php_event::EventException>(())
/// ```
#[must_use = "an event is deleted when its last handle is dropped"]
pub struct EventWith<H: Handler>(Rc<Inner<Shared<H>>>);

impl<H: Handler> EventWith<H> {
    /// As [`Event::timer`].
    ///
    /// # Errors
    /// As [`Event::timer`].
    pub fn timer(base: &EventBase, handler: H) -> Result<Self> {
        let no_flags = EventFlags::empty();
        Self::make("Event::timer", base, Kind::Timer, -1, no_flags, handler)
    }

    /// A timer that fires again and again, each time an interval after it was last due: after a
    /// late callback, the next one comes the sooner. [`add`](Self::add) with another time changes
    /// the interval. With a time of zero it fires once.
    ///
    /// PHP: `Event::__construct` with `TIMEOUT | PERSIST`. libevent: `event_new` with `EV_PERSIST`.
    ///
    /// # Errors
    /// As [`Event::timer`].
    pub fn periodic(base: &EventBase, handler: H) -> Result<Self> {
        let what = EventFlags::PERSIST;
        Self::make("Event::__construct", base, Kind::Timer, -1, what, handler)
    }

    /// As [`Event::signal`].
    ///
    /// # Errors
    /// As [`Event::signal`].
    pub fn signal(base: &EventBase, signum: c_int, handler: H) -> Result<Self> {
        const CALL: &str = "Event::signal";
        let number = check_signal(CALL, signum)?;
        let what = EventFlags::SIGNAL | EventFlags::PERSIST;
        Self::make(CALL, base, Kind::Signal(number), signum, what, handler)
    }

    /// An event of a signal that is deleted when it fires. If the signal has come more than once by
    /// then, the callback is still called for each time, unless it deletes the event.
    ///
    /// PHP: `Event::__construct` with `SIGNAL`. libevent: `event_new` with `EV_SIGNAL`.
    ///
    /// # Errors
    /// As [`Event::signal`].
    pub fn signal_once(base: &EventBase, signum: c_int, handler: H) -> Result<Self> {
        const CALL: &str = "Event::__construct";
        let number = check_signal(CALL, signum)?;
        let what = EventFlags::SIGNAL;
        Self::make(CALL, base, Kind::Signal(number), signum, what, handler)
    }

    /// As [`Event::new_raw`].
    ///
    /// # Safety
    /// As for [`Event::new_raw`].
    ///
    /// # Errors
    /// As [`Event::new_raw`].
    pub unsafe fn descriptor(
        base: &EventBase,
        fd: RawFd,
        what: EventFlags,
        handler: H,
    ) -> Result<Self> {
        const CALL: &str = "Event::__construct";
        check_number(CALL, fd)?;
        base.inner().usable(CALL)?;
        check_descriptor(CALL, base.inner(), fd, what)?;
        Self::make(CALL, base, Kind::Descriptor, fd, what, handler)
    }

    /// An event that is freed from the start.
    pub fn freed(base: &EventBase, handler: H) -> Self {
        Self(Inner::freed(base.inner(), Kind::Timer, || {
            Shared::new(handler)
        }))
    }

    fn make(
        call: &'static str,
        base: &EventBase,
        kind: Kind,
        fd: c_int,
        what: EventFlags,
        handler: H,
    ) -> Result<Self> {
        let handler = || Shared::new(handler);
        Inner::make(call, base.inner(), kind, fd, what, handler).map(Self)
    }

    /// The value.
    #[must_use]
    pub fn handler(&self) -> &H {
        &self.0.closure.handler
    }

    /// A handle of the event, as every other method takes it.
    pub fn event(&self) -> Event {
        Event(Rc::clone(&self.0) as Rc<Inner>)
    }

    /// Whether [`free`](Self::free) was called.
    #[must_use]
    pub fn is_freed(&self) -> bool {
        self.0.native().is_none()
    }

    /// As [`Event::is_pending`].
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.pends(REASONS)
    }

    /// As [`Event::add`].
    ///
    /// # Errors
    /// As [`Event::add`].
    pub fn add(&self, timeout: Option<Duration>) -> Result<()> {
        self.0
            .add("Event::add", timeout, || Rc::downgrade(&self.event().0))
    }

    /// As [`Event::del`].
    ///
    /// # Errors
    /// As [`Event::del`].
    pub fn del(&self) -> Result<()> {
        self.0.del("Event::del")
    }

    /// As [`Event::free`], but that the value stays until the last handle goes.
    pub fn free(&self) {
        self.0.free();
    }

    /// The handle as a pointer, which is not null, for memory that Rust does not own.
    #[must_use = "the event is never deleted if nothing takes the pointer back"]
    pub fn into_raw(self) -> *const c_void {
        Rc::into_raw(self.0).cast()
    }

    /// Takes a handle back that was a pointer.
    ///
    /// # Safety
    /// [`into_raw`](Self::into_raw) of an `EventWith<H>` gave the pointer, on this thread, and it is
    /// taken back once.
    pub unsafe fn from_raw(raw: *const c_void) -> Self {
        // SAFETY: a count that `into_raw` gave away, as `# Safety` asks.
        Self(unsafe { Rc::from_raw(raw.cast()) })
    }
}

impl<H: Handler> Clone for EventWith<H> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<H: Handler> fmt::Debug for EventWith<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventWith").field(&self.event()).finish()
    }
}

/// A handler, and the closure that may have replaced it.
struct Shared<H> {
    handler: H,
    later: Later,
}

impl<H> Shared<H> {
    fn new(handler: H) -> Self {
        let later = Later::default();
        Self { handler, later }
    }
}

impl<H: Handler> Closure for Shared<H> {
    #[inline]
    fn call(&self, event: &Event, what: EventFlags) {
        if !self.later.call(event, what) {
            self.handler.fire(event, what);
        }
    }

    fn replace(&self, by: Box<Callback>, _ended: &Cell<bool>) {
        drop(self.later.set(by)); // nothing is borrowed
    }

    fn end(&self, _ended: &Cell<bool>) {
        drop(self.later.take());
    }

    fn take(&self, _ended: &Cell<bool>) -> Option<Box<Callback>> {
        self.later.take()
    }
}
