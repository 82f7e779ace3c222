//! Giving an event another base, source or callback.
//!
//! Runs user code: a new source's `as_fd`, and the destructors of the former closure and data,
//! when nothing is borrowed.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use php_event_macros::php;

use super::closure::Callback;
use super::inner::{Kind, REASONS};
use super::pending::del_signal;
use super::{Event, check_backend, check_descriptor};
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::runtime::Ending;
use crate::{EventBase, base};

impl Event {
    /// Gives the event another base, source and callback; the data is forgotten and the
    /// priority becomes the middle one.
    ///
    /// # Errors
    /// [`Error::State`] while the event is pending, or is a signal event; otherwise as
    /// [`new`](Self::new).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::os::unix::net::UnixStream;
    /// # let base = EventBase::new()?;
    /// # let (one, other) = UnixStream::pair()?;
    /// let event = Event::new(&base, one, Event::READ, |_one, _what, _event| unreachable!())?;
    /// event.set(&base, other, Event::WRITE, |_other, what, _event| {
    ///     assert_eq!(what, Event::WRITE);
    /// })?;
    /// event.add(None)?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "Event::set",
        php_note = ", of which this is the form that works whatever is given",
        c = "event_assign"
    )]
    pub fn set<S, F>(
        &self,
        base: &EventBase,
        source: S,
        what: EventFlags,
        mut callback: F,
    ) -> Result<()>
    where
        S: AsFd + 'static,
        F: FnMut(&S, EventFlags, &Event) + 'static,
    {
        let fd = source.as_fd().as_raw_fd();
        base.inner().usable(CALL)?;
        check_descriptor(CALL, base.inner(), fd, what)?;
        let callback = move |event: &Event, what: EventFlags| callback(&source, what, event);
        self.assign(CALL, base, Kind::Descriptor, fd, what, Box::new(callback))
    }

    /// Makes the event a timer of `base` with another callback; the data is forgotten.
    ///
    /// Unlike PHP's, it refuses any pending event, not only a timer.
    ///
    /// # Errors
    /// [`Error::State`] while the event is pending, or is a signal event; [`Error::Freed`],
    /// [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| unreachable!())?;
    /// timer.set_timer(&base, |_event| println!("the new one"))?;
    /// timer.add(Some(Duration::ZERO))?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("Event::setTimer", c = "evtimer_assign")]
    pub fn set_timer<F>(&self, base: &EventBase, mut callback: F) -> Result<()>
    where
        F: FnMut(&Event) + 'static,
    {
        let callback = Box::new(move |event: &Event, _what: EventFlags| callback(event));
        self.assign(CALL, base, Kind::Timer, -1, EventFlags::empty(), callback)
    }

    fn assign(
        &self,
        call: &'static str,
        base: &EventBase,
        kind: Kind,
        fd: c_int,
        what: EventFlags,
        callback: Box<Callback>,
    ) -> Result<()> {
        let base = base.inner();
        base.usable(call)?;
        self.idle(call)?;
        if self.0.signum().is_some() {
            // libevent may still owe its callback calls for signals that came together.
            return Err(Error::State {
                call,
                reason: "a signal event stays one; make a new event",
            });
        }
        let event = self.0.usable(call)?;
        let former_base = self.0.base();
        // SAFETY: `take_base` keeps the base for longer than the event; `callback`, which the event
        // keeps from here on, owns the source of `fd`.
        unsafe { event.assign(call, base.native(), fd, what) }?;
        drop(event);
        self.0.kind.set(kind);
        self.take_base(base);
        let mut ending = Ending::default(); // nothing is borrowed: destructors may run user code
        ending.run(|| self.0.closure.replace(callback, &self.0.ended));
        ending.drop(self.0.data.take());
        ending.drop(former_base);
        ending.finish();
        Ok(())
    }

    /// Refuses an event that is pending.
    fn idle(&self, call: &'static str) -> Result<()> {
        self.0.usable(call)?;
        if self.0.pends(REASONS) {
            return Err(Error::State {
                call,
                reason: "the event is pending; delete it first",
            });
        }
        Ok(())
    }

    /// Counts on another base from now on. The event, which is idle, leaves the lists of its
    /// former base.
    fn take_base(&self, base: &Rc<base::Inner>) {
        let kept = self.0.settle();
        base.note_priority(base.middle_priority());
        let former = self.0.base.replace(Rc::clone(base));
        drop((kept, former));
    }
}

impl EventBase {
    /// Moves an event that is not pending to this base; its priority becomes the middle one. Calls
    /// of a signal event that are due on the former base are not made.
    ///
    /// # Errors
    /// [`Error::State`] while the event is pending; [`Error::Argument`] when this base's
    /// backend cannot watch its source; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// let (one, other) = (EventBase::new()?, EventBase::new()?);
    /// let timer = Event::timer(&one, |_event| println!("on the other"))?;
    /// other.set(&timer)?;
    /// timer.add(Some(std::time::Duration::ZERO))?;
    /// other.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::set", c = "event_base_set")]
    pub fn set(&self, event: &Event) -> Result<()> {
        let base = self.inner();
        base.usable(CALL)?;
        event.idle(CALL)?;
        let native = event.0.usable(CALL)?;
        if event.0.kind.get() == Kind::Descriptor {
            check_backend(CALL, base, native.descriptor(), native.flags())?;
        }
        if event.0.signum().is_some() {
            // A frame of the former base may still have calls to make, and could not be told to
            // end them once a loop of this base has called.
            del_signal(CALL, &native)?;
        }
        // SAFETY: `take_base` keeps the base for longer than the event.
        unsafe { native.set_base(CALL, base.native()) }?;
        drop(native);
        event.take_base(base);
        Ok(())
    }
}
