//! Adding, deleting and activating an event, and whether it is pending.
//!
//! Runs no user code except the destructor of a detached event's last handle.

use std::ffi::c_int;
use std::rc::{Rc, Weak};
use std::time::Duration;

use php_event_macros::php;

use super::Event;
use super::closure::Closure;
use super::inner::{Inner, Kind, REASONS, State};
use crate::base::Added;
use crate::error::{Error, Result};
use crate::flags::EventFlags;
use crate::log;
use crate::native::OwnedEvent;
use crate::runtime::signals;

impl Event {
    /// Makes the event pending, with an optional timeout.
    ///
    /// The event fires with `TIMEOUT` when nothing else happens for that long; zero fires in
    /// the next turn. Adding a pending event again with a time replaces its deadline, with
    /// `None` leaves the old one. The timeout of a `PERSIST` event restarts after each call; that
    /// of a signal event restarts only when it is added again. A timer added with `None` does not
    /// become pending. A longer time than [`MAX_TIMEOUT`](crate::MAX_TIMEOUT) becomes that;
    /// fractions of a microsecond are dropped.
    ///
    /// # Errors
    /// [`Error::Argument`] for a regular file or directory under epoll, which cannot watch
    /// one; [`Error::State`] when another base has the process's signals; [`Error::Call`]
    /// when the backend refuses otherwise; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::os::unix::net::UnixStream;
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// # let (_ours, theirs) = UnixStream::pair()?;
    /// let readable = Event::new(&base, theirs, Event::READ, |_theirs, what, _event| {
    ///     assert_eq!(what, Event::TIMEOUT); // nothing came
    /// })?;
    /// readable.add(Some(Duration::from_millis(1)))?;
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php("Event::add", php_note = ", where `None` is −1", c = "event_add")]
    pub fn add(&self, timeout: Option<Duration>) -> Result<()> {
        self.add_as(CALL, timeout)
    }

    fn add_as(&self, call: &'static str, timeout: Option<Duration>) -> Result<()> {
        self.0.add(call, timeout, || Rc::downgrade(&self.0))
    }

    /// Makes the event neither pending nor active. Does nothing if it is neither.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let never = Event::timer(&base, |_event| unreachable!())?;
    /// never.add(Some(Duration::ZERO))?;
    /// never.del()?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("Event::del", c = "event_del")]
    pub fn del(&self) -> Result<()> {
        self.del_as(CALL)
    }

    fn del_as(&self, call: &'static str) -> Result<()> {
        self.0.del(call)
    }

    /// [`add`](Self::add), by the name PHP has for timers.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| println!("tick"))?;
    /// timer.add_timer(Some(std::time::Duration::from_millis(1)))?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::addTimer", alias = "evtimer_add")]
    pub fn add_timer(&self, timeout: Option<Duration>) -> Result<()> {
        self.add_as("Event::addTimer", timeout)
    }

    /// [`del`](Self::del), by the name PHP has for timers.
    ///
    /// # Errors
    /// As [`del`](Self::del).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| unreachable!())?;
    /// timer.add_timer(Some(std::time::Duration::from_millis(1)))?;
    /// timer.del_timer()?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::delTimer", alias = "evtimer_del")]
    pub fn del_timer(&self) -> Result<()> {
        self.del_as("Event::delTimer")
    }

    /// [`add`](Self::add), by the name PHP has for signals.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let signal = Event::signal(&base, libc::SIGUSR2, |_signum, _event| {})?;
    /// signal.add_signal(None)?;
    /// assert!(signal.pending(Event::SIGNAL));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::addSignal", alias = "evsignal_add")]
    pub fn add_signal(&self, timeout: Option<Duration>) -> Result<()> {
        self.add_as("Event::addSignal", timeout)
    }

    /// [`del`](Self::del), by the name PHP has for signals.
    ///
    /// # Errors
    /// As [`del`](Self::del).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let signal = Event::signal(&base, libc::SIGUSR2, |_signum, _event| {})?;
    /// signal.add_signal(None)?;
    /// signal.del_signal()?; // the signal has its former effect again
    /// assert!(!signal.is_pending());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::delSignal", alias = "evsignal_del")]
    pub fn del_signal(&self) -> Result<()> {
        self.del_as("Event::delSignal")
    }

    /// Removes the timeout only: a descriptor or signal event stays pending without one, a
    /// timer is no longer pending.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::os::unix::net::UnixStream;
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// # let (_ours, theirs) = UnixStream::pair()?;
    /// let readable = Event::new(&base, theirs, Event::READ, |_theirs, _what, _event| {})?;
    /// readable.add(Some(Duration::from_secs(1)))?;
    /// readable.remove_timer()?;
    /// assert!(readable.pending(Event::READ) && !readable.pending(Event::TIMEOUT));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php("Event::removeTimer", c = "event_remove_timer")]
    pub fn remove_timer(&self) -> Result<()> {
        let event = self.0.usable(CALL)?;
        if self.0.waits_for_signal(&event) {
            self.0.lengthen_timer(CALL, &event)?;
        } else {
            event.remove_timer(CALL)?;
        }
        drop(event);
        drop(self.0.settle()); // `self` is another handle of it
        Ok(())
    }

    /// Whether the event is pending for any of `flags`: `READ`, `WRITE`, `CLOSED` and
    /// `SIGNAL` as added, `TIMEOUT` with a timeout. An event that is active and has not run yet counts as pending.
    ///
    /// A freed event is never pending; PHP crashes.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| {})?;
    /// timer.add(Some(Duration::from_secs(1)))?;
    /// assert!(timer.pending(Event::TIMEOUT));
    /// assert!(!timer.pending(Event::READ | Event::WRITE));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("Event::pending", c = "event_pending")]
    #[must_use]
    pub fn pending(&self, flags: EventFlags) -> bool {
        self.0.pends(flags)
    }

    /// Whether the event is pending for any reason.
    ///
    /// PHP: the property `Event::$pending`, which is null once freed; here that is `false`,
    /// and null in JSON.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| {})?;
    /// assert!(!timer.is_pending());
    /// timer.add(Some(Duration::ZERO))?;
    /// assert!(timer.is_pending());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::$pending")]
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.pends(REASONS)
    }

    /// Makes the event active, pending or not: its callback runs once, with `what`, in this or
    /// the next turn of the loop. Until it has run, [`add`](Self::add) sets the timeout and does
    /// not register the source.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `what` consists of `READ`, `WRITE`, `CLOSED` and `TIMEOUT`,
    /// and for a signal event: send the signal with [`process::kill`](crate::process::kill) instead;
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let by_hand = Event::timer(&base, move |_event| stop.stop().unwrap())?;
    /// by_hand.active(Event::TIMEOUT)?;
    /// base.dispatch()?;
    /// assert!(base.got_stop());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "event_active", call = "Event::active")]
    pub fn active(&self, what: EventFlags) -> Result<()> {
        let event = self.0.usable(CALL)?;
        let possible = REASONS - EventFlags::SIGNAL;
        let fits = !what.is_empty() && possible.contains(what);
        if !fits || self.0.signum().is_some() {
            return Err(not_to_activate(CALL, what, fits));
        }
        event.activate(what);
        Ok(())
    }

    /// Hands the event to its base, which keeps it until it is no longer pending: fire and
    /// forget.
    ///
    /// An event that is not pending is dropped. Events still pending when the last handle of
    /// the base is dropped are freed then.
    ///
    /// Beyond PHP, where a timer that captures itself leaks.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// let base = EventBase::new()?;
    /// let later = Event::timer(&base, |_event| println!("later"))?;
    /// later.add(Some(Duration::from_millis(1)))?;
    /// later.detach();
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    pub fn detach(self) {
        if self.is_pending() {
            self.0.detached.set(true);
            let base = self.0.base();
            base.keep(self.0.address(), self);
        }
    }

    /// Sets the priority: 0 is the most urgent; see [`priority_init`](crate::EventBase::priority_init).
    ///
    /// # Errors
    /// [`Error::Argument`] when the base has no such priority; [`Error::State`] while the
    /// event is active; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// let base = EventBase::new()?;
    /// base.priority_init(2)?;
    /// let urgent = Event::timer(&base, |_event| {})?;
    /// urgent.set_priority(0)?;
    /// assert!(urgent.set_priority(2).is_err()); // there are 0 and 1
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("Event::setPriority", c = "event_priority_set")]
    pub fn set_priority(&self, priority: i32) -> Result<()> {
        let event = self.0.usable(CALL)?;
        let base = self.0.base();
        let n = base.native().priorities();
        if !(0..n).contains(&priority) {
            let reason = format!(
                "priority {priority} given; the base has 0 to {}, see EventBase::priority_init",
                n - 1
            );
            return Err(Error::argument(CALL, reason));
        }
        if !event.set_priority(priority) {
            return Err(Error::State {
                call: CALL,
                reason: "the event is active; set the priority before or after its callback runs",
            });
        }
        base.note_priority(priority);
        Ok(())
    }
}

impl<C: ?Sized + Closure> State<C> {
    /// Makes the event pending. `weak` is a count of this event.
    pub(super) fn add(
        &self,
        call: &'static str,
        timeout: Option<Duration>,
        weak: impl FnOnce() -> Weak<Inner>,
    ) -> Result<()> {
        let event = self.usable(call)?;
        if let Kind::Signal(signum) = self.kind.get() {
            return self.add_signal(call, signum.into(), weak(), &event, timeout);
        }
        if timeout.is_some() && self.kind.get() == Kind::Descriptor && event.is_overdue() {
            event.del(call)?;
        }
        match event.add(call, timeout) {
            Ok(()) => Ok(()),
            Err(error) => Err(refused_by_backend(call, &event).unwrap_or(error)),
        }
    }

    #[cold]
    fn add_signal(
        &self,
        call: &'static str,
        signum: c_int,
        weak: Weak<Inner>,
        event: &OwnedEvent,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let event_there = Rc::new(weak);
        let added = Added {
            signum,
            event: event_there,
        };
        let mut record = signals::lock();
        self.base()
            .add_signal(call, &mut record, self.address(), added)?;
        self.enlisted.set(true);
        if timeout.is_some() {
            self.timeless.set(false);
        }
        let result = event.add(call, timeout);
        drop(record);
        log::discard(); // in a child, libevent warns about the parent's base
        if result.is_err() {
            self.unenlist();
        }
        result
    }

    /// Whether its callback may be called for a signal, in a frame that is running, too.
    fn waits_for_signal(&self, event: &OwnedEvent) -> bool {
        self.signum().is_some() && event.pends(EventFlags::SIGNAL)
    }

    /// Removes the timeout of a signal event. libevent would overwrite how often it still has to
    /// call, and how a frame that calls is told of the event's end. So the time only becomes the
    /// longest one, and is not shown.
    #[cold]
    fn lengthen_timer(&self, call: &'static str, event: &OwnedEvent) -> Result<()> {
        if !event.pends(EventFlags::TIMEOUT) {
            return Ok(());
        }
        let _record = signals::lock();
        event.add(call, Some(crate::MAX_TIMEOUT))?;
        self.timeless.set(true);
        Ok(())
    }

    /// Makes the event neither pending nor active. The caller has a handle of it.
    pub(super) fn del(&self, call: &'static str) -> Result<()> {
        let event = self.usable(call)?;
        let result = if self.signum().is_some() {
            del_signal(call, &event)
        } else {
            event.del(call)
        };
        drop(event);
        self.unenlist();
        drop(self.undetach()); // the caller has another handle of it
        result
    }
}

/// Why an event cannot be made active: `what` does not fit, or else it is a signal event.
#[cold]
fn not_to_activate(call: &'static str, what: EventFlags, fits: bool) -> Error {
    if !fits {
        let reason = format!("{what:?} given; it takes READ, WRITE, CLOSED and TIMEOUT");
        return Error::argument(call, reason);
    }
    // libevent would lose count of the calls it still owes to a running callback.
    let reason = "a signal event cannot be activated; send the signal with process::kill";
    Error::argument(call, reason)
}

#[cold]
pub(super) fn del_signal(call: &'static str, event: &OwnedEvent) -> Result<()> {
    let _record = signals::lock();
    event.del_signal(call)
}

/// Why the backend refused the event, if its file explains it.
#[cold]
fn refused_by_backend(call: &'static str, event: &OwnedEvent) -> Option<Error> {
    let kind = match event.file_type()? {
        libc::S_IFREG => "regular file",
        libc::S_IFDIR => "directory",
        _ => return None,
    };
    let reason = format!(
        "epoll cannot watch a {kind}, which is always ready: read it directly, or make the base with \
         EventConfig::avoid_method(\"epoll\")"
    );
    Some(Error::argument(call, reason))
}
