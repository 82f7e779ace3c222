//! `Event`: something that a base waits for, and the closure that it calls then.
//!
//! Owns: what [`Inner`] has. Lent to C: one weak count of it, from `make` to its end.
//! Runs user code: the closure.
#![allow(unsafe_code)]

mod data;
mod entry;
mod inner;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;
use std::{fmt, ptr};

pub(crate) use inner::Inner;
use inner::{Callback, Kind, REASONS, forget_owed_calls};

use crate::error::{Error, Result, cvt, cvt_p};
use crate::flags::EventFlags;
use crate::runtime::{self, Slot, signals};
use crate::{EventBase, base, ffi, log, process};

/// Something that a base waits for: a descriptor, a signal, or a time.
///
/// A handle is counted: a clone is the same event, as a PHP variable would be. When the
/// last handle goes, the event is deleted and its closure and source are dropped; inside
/// the event's own callback that happens when the callback returns. The closure gets the
/// event's own handle, where PHP passes `$arg`, so it need not capture one, which would
/// keep the event for ever.
///
/// PHP: `Event`. libevent: `struct event`.
///
/// # Examples
/// ```
/// use php_event::{Event, EventBase};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let base = EventBase::new()?;
/// let (mut ours, theirs) = UnixStream::pair()?;
/// let read = Event::new(&base, theirs, Event::READ, |mut stream: &UnixStream, _what, _event| {
///     let mut buffer = [0; 16];
///     let n = stream.read(&mut buffer).unwrap_or(0);
///     assert_eq!(&buffer[..n], b"hello");
/// })?;
/// read.add(None)?;
/// ours.write_all(b"hello")?;
/// base.dispatch()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A closure owns what it uses:
/// ```compile_fail,E0373
/// use php_event::{Event, EventBase};
/// let base = EventBase::new().unwrap();
/// let count = std::cell::Cell::new(0);
/// let event = Event::timer(&base, |_event| count.set(1)).unwrap();
/// # drop(base);
/// ```
/// ```
/// use php_event::{Event, EventBase};
/// let base = EventBase::new().unwrap();
/// let count = std::rc::Rc::new(std::cell::Cell::new(0));
/// let event = Event::timer(&base, move |_event| count.set(1)).unwrap();
/// ```
/// Events stay in the thread of their base:
/// ```compile_fail,E0277
/// # use php_event::{Event, EventBase};
/// let event = Event::timer(&EventBase::new().unwrap(), |_event| {}).unwrap();
/// std::thread::spawn(move || event.add(None));
/// ```
/// ```
/// # use php_event::{Event, EventBase};
/// std::thread::spawn(|| {
///     Event::timer(&EventBase::new().unwrap(), |_event| {}).unwrap().add(None)
/// }).join().unwrap()?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
pub struct Event(pub(crate) Rc<Inner>);

impl Event {
    /// Makes an event that waits until `source` can be read or written.
    ///
    /// The event owns the source for as long as it waits for it, so that the descriptor
    /// cannot be closed and its number reused; share one between two events with a
    /// [`Stream`](crate::stream::Stream)'s clone or an `Rc`. The callback gets the source,
    /// what happened (`READ`, `WRITE`, `TIMEOUT`, and `ET` on an edge-triggered event), and
    /// the event. Without `PERSIST` the event is no longer pending when its callback runs.
    ///
    /// PHP: `Event::__construct`. libevent: `event_new`. Unlike PHP's, the descriptor is not
    /// borrowed, and `TIMEOUT` is refused here: it would make the event deaf to its source. What
    /// PHP makes with `TIMEOUT | PERSIST` is a [`timer`](Self::timer) that adds itself again.
    ///
    /// # Errors
    /// [`Error::Argument`] for `TIMEOUT` and `SIGNAL`, and for bits that are none of the
    /// constants; [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    /// use std::io::{Read, Write};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let base = EventBase::new()?;
    /// let (mut ours, theirs) = UnixStream::pair()?;
    /// let readable = Event::new(&base, theirs, Event::READ, |mut theirs, what, _event| {
    ///     assert_eq!(what, Event::READ);
    ///     let mut text = [0; 5];
    ///     theirs.read_exact(&mut text).unwrap();
    ///     assert_eq!(&text, b"hello");
    /// })?;
    /// readable.add(None)?;
    /// ours.write_all(b"hello")?;
    /// base.dispatch()?; // ends with the event, which is not PERSIST
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "Event::__construct", alias = "event_new")]
    pub fn new<S, F>(base: &EventBase, source: S, what: EventFlags, mut callback: F) -> Result<Self>
    where
        S: AsFd + 'static,
        F: FnMut(&S, EventFlags, &Event) + 'static,
    {
        let fd = source.as_fd().as_raw_fd();
        let callback = move |event: &Event, what: EventFlags| callback(&source, what, event);
        let base = base.inner();
        Self::descriptor("Event::__construct", base, fd, what, Box::new(callback))
    }

    /// An event on a source for what counts on a base without having a public handle of it.
    pub(crate) fn source_on<S, F>(
        call: &'static str,
        base: &Rc<base::Inner>,
        source: S,
        what: EventFlags,
        mut callback: F,
    ) -> Result<Self>
    where
        S: AsFd + 'static,
        F: FnMut(&S, EventFlags) + 'static,
    {
        let fd = source.as_fd().as_raw_fd();
        let callback = move |_: &Event, what: EventFlags| callback(&source, what);
        Self::descriptor(call, base, fd, what, Box::new(callback))
    }

    /// Makes an event on a bare descriptor number.
    ///
    /// PHP: `Event::__construct` with an int. libevent: `event_new`.
    ///
    /// # Safety
    /// `fd` stays open, and stays the same file, until the event is freed or dropped or, in
    /// its own callback, until that callback returns.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Argument`] for a negative number.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    /// use std::os::fd::AsRawFd;
    ///
    /// let base = EventBase::new()?;
    /// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    /// // SAFETY: `ours` is open until the event is freed.
    /// let event = unsafe { Event::new_raw(&base, ours.as_raw_fd(), Event::WRITE, |fd, _what, _event| println!("{fd}")) }?;
    /// event.add(None)?;
    /// base.dispatch()?;
    /// event.free();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub unsafe fn new_raw<F>(
        base: &EventBase,
        fd: RawFd,
        what: EventFlags,
        mut callback: F,
    ) -> Result<Self>
    where
        F: FnMut(RawFd, EventFlags, &Event) + 'static,
    {
        const CALL: &str = "Event::__construct";
        if fd < 0 {
            return Err(Error::argument(
                CALL,
                format!("{fd} is no descriptor; Event::timer makes an event without one"),
            ));
        }
        Self::descriptor(
            CALL,
            base.inner(),
            fd,
            what,
            Box::new(move |event, what| callback(fd, what, event)),
        )
    }

    /// Makes a one-shot event that fires when the time given to [`add`](Self::add) has passed.
    ///
    /// Add it again in its callback to repeat it. The event is not added yet.
    ///
    /// PHP: `Event::timer`. libevent: `evtimer_new`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let mut left = 3;
    /// let tick = Event::timer(&base, move |event| {
    ///     left -= 1;
    ///     if left > 0 {
    ///         event.add(Some(Duration::from_millis(1))).ok();
    ///     }
    /// })?;
    /// tick.add(Some(Duration::from_millis(1)))?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::timer", alias = "evtimer_new")]
    pub fn timer<F>(base: &EventBase, callback: F) -> Result<Self>
    where
        F: FnMut(&Event) + 'static,
    {
        Self::timer_on("Event::timer", base.inner(), callback)
    }

    /// A timer for what counts on a base without having a public handle of it.
    pub(crate) fn timer_on<F>(
        call: &'static str,
        base: &Rc<base::Inner>,
        mut callback: F,
    ) -> Result<Self>
    where
        F: FnMut(&Event) + 'static,
    {
        let callback = Box::new(move |event: &Event, _what: EventFlags| callback(event));
        Self::make(call, base, Kind::Timer, -1, EventFlags::empty(), callback)
    }

    /// Makes an event that fires each time the process gets a signal. It is not added yet.
    ///
    /// The callback runs in the loop, never in the middle of other code, once for each time
    /// the signal came. Deleting the event gives the signal its former effect back. One base
    /// at a time can have signal events.
    ///
    /// PHP: `Event::signal`. libevent: `evsignal_new`. For a signal that is to come once, delete
    /// the event in its callback.
    ///
    /// # Errors
    /// [`Error::Argument`] when `signum` is not 1 to 64, or `SIGKILL`, `SIGSTOP` or one of
    /// the two that the C library keeps for itself; [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```no_run
    /// use php_event::{Event, EventBase};
    ///
    /// let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let terminate = Event::signal(&base, libc::SIGTERM, move |_signum, _event| drop(stop.exit(None)))?;
    /// terminate.add(None)?;
    /// base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::signal", alias = "evsignal_new")]
    pub fn signal<F>(base: &EventBase, signum: c_int, mut callback: F) -> Result<Self>
    where
        F: FnMut(c_int, &Event) + 'static,
    {
        const CALL: &str = "Event::signal";
        let name = process::signal_name(signum);
        if !(1..=64).contains(&signum) || matches!(signum, libc::SIGKILL | libc::SIGSTOP | 32 | 33)
        {
            return Err(Error::argument(
                CALL,
                format!("signal {signum} ({name}) cannot be caught; give another number"),
            ));
        }
        let callback = Box::new(move |event: &Event, _what: EventFlags| callback(signum, event));
        let what = EventFlags::SIGNAL | EventFlags::PERSIST;
        Self::make(
            CALL,
            base.inner(),
            Kind::Signal(signum),
            signum,
            what,
            callback,
        )
    }

    fn descriptor(
        call: &'static str,
        base: &Rc<base::Inner>,
        fd: RawFd,
        what: EventFlags,
        callback: Box<Callback>,
    ) -> Result<Self> {
        check_descriptor_flags(call, what)?;
        Self::make(call, base, Kind::Descriptor, fd, what, callback)
    }

    fn make(
        call: &'static str,
        base: &Rc<base::Inner>,
        kind: Kind,
        fd: c_int,
        what: EventFlags,
        callback: Box<Callback>,
    ) -> Result<Self> {
        base.usable(call)?;
        let inner = Rc::new(Inner {
            raw: Cell::new(ptr::null_mut()),
            arg: Cell::new(ptr::null_mut()),
            kind: Cell::new(kind),
            slot: Slot::new(callback),
            data: RefCell::default(),
            base: RefCell::new(Rc::clone(base)),
            serializing: Cell::new(false),
            detached: Cell::new(false),
            enlisted: Cell::new(false),
        });
        let arg = runtime::lend(&inner);
        // SAFETY: `inner` holds the base for as long as the event lives, and `arg` stays
        // lent until `release` has freed the event.
        let raw =
            unsafe { ffi::event_new(base.raw(), fd, what.bits(), Some(entry::on_event), arg) };
        match cvt_p(call, raw) {
            Ok(raw) => {
                inner.raw.set(raw);
                inner.arg.set(arg);
                base.note_priority(base.middle_priority());
                Ok(Self(inner))
            }
            Err(error) => {
                // SAFETY: lent above, and libevent made no event that holds it.
                unsafe { runtime::reclaim::<Inner>(arg) };
                Err(error)
            }
        }
    }

    /// The event for C, and its base, if both may be used.
    fn usable(&self, call: &'static str) -> Result<(*mut ffi::event, Rc<base::Inner>)> {
        let raw = self.0.raw.get();
        if raw.is_null() {
            return Err(Error::Freed {
                call,
                object: "event",
            });
        }
        let base = self.0.base();
        base.usable(call)?;
        Ok((raw, base))
    }

    /// As [`usable`](Self::usable), and not pending: for what gives the event a new role.
    fn idle(&self, call: &'static str) -> Result<(*mut ffi::event, Rc<base::Inner>)> {
        let (raw, base) = self.usable(call)?;
        if self.0.pends(REASONS) {
            return Err(Error::State {
                call,
                reason: "the event is pending; delete it first",
            });
        }
        Ok((raw, base))
    }

    /// Makes the event pending, with an optional timeout.
    ///
    /// The timeout fires `TIMEOUT` when nothing else happened for that long; zero fires in
    /// the next turn. Adding a pending event again with a time replaces its deadline, with
    /// `None` leaves the old one. A `PERSIST` event starts its time anew after each call. A
    /// timer added with `None` does not become pending. Times longer than
    /// [`MAX_TIMEOUT`](crate::MAX_TIMEOUT) are that; parts of a microsecond are cut.
    ///
    /// PHP: `Event::add`, where `None` is −1. libevent: `event_add`.
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
    #[doc(alias = "Event::add", alias = "event_add")]
    pub fn add(&self, timeout: Option<Duration>) -> Result<()> {
        self.add_as("Event::add", timeout)
    }

    fn add_as(&self, call: &'static str, timeout: Option<Duration>) -> Result<()> {
        let (raw, base) = self.usable(call)?;
        let time = timeout.map(base::timeval);
        let time = time.as_ref().map_or(ptr::null(), ptr::from_ref);
        if let Kind::Signal(signum) = self.0.kind.get() {
            return self.add_signal_as(call, signum, raw, time, &base);
        }
        // SAFETY: `raw` is not freed, and libevent copies the time.
        let rc = unsafe { ffi::event_add(raw, time) };
        cvt(call, rc)
            .map(drop)
            .map_err(|error| self.refused_by_backend(call, raw).unwrap_or(error))
    }

    fn add_signal_as(
        &self,
        call: &'static str,
        signum: c_int,
        raw: *mut ffi::event,
        time: *const ffi::timeval,
        base: &base::Inner,
    ) -> Result<()> {
        let mut record = signals::lock();
        let (address, event) = (self.0.address(), Rc::downgrade(&self.0));
        base.add_signal(call, &mut record, address, event, signum)?;
        self.0.enlisted.set(true);
        // SAFETY: `raw` is not freed, libevent copies the time, and `record` keeps other
        // threads off libevent's signal state.
        let result = cvt(call, unsafe { ffi::event_add(raw, time) });
        drop(record);
        log::discard(); // in a child, libevent takes the parent's base for a rival
        if result.is_err() {
            self.0.unenlist();
        }
        result.map(drop)
    }

    /// What a failed `event_add` means, where the descriptor tells.
    fn refused_by_backend(&self, call: &'static str, raw: *mut ffi::event) -> Option<Error> {
        if self.0.kind.get() != Kind::Descriptor {
            return None;
        }
        // SAFETY: `raw` is not freed.
        let fd = unsafe { ffi::event_get_fd(raw) };
        // SAFETY: the source is owned by the closure, or the caller of `new_raw` answers for it.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let mode = nix::sys::stat::fstat(fd).ok()?.st_mode & libc::S_IFMT;
        let kind = match mode {
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

    /// Makes the event not pending and not active; nothing happens if it is neither.
    ///
    /// PHP: `Event::del`. libevent: `event_del`.
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
    #[doc(alias = "Event::del", alias = "event_del")]
    pub fn del(&self) -> Result<()> {
        self.del_as("Event::del")
    }

    fn del_as(&self, call: &'static str) -> Result<()> {
        let (raw, base) = self.usable(call)?;
        let record = self.0.signum().map(|_| signals::lock());
        // SAFETY: `raw` is not freed.
        let result = cvt(call, unsafe { ffi::event_del(raw) });
        if record.is_some() {
            forget_owed_calls(raw);
        }
        drop(record);
        self.0.unenlist();
        if self.0.detached.replace(false) {
            drop(base.let_go(self.0.address())); // `self` is another handle of it
        }
        result.map(drop)
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

    /// Drops the timeout alone: a descriptor or signal event waits on without one, a timer
    /// is no longer pending.
    ///
    /// PHP: `Event::removeTimer`. libevent: `event_remove_timer`.
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
    #[doc(alias = "Event::removeTimer", alias = "event_remove_timer")]
    pub fn remove_timer(&self) -> Result<()> {
        const CALL: &str = "Event::removeTimer";
        let (raw, base) = self.usable(CALL)?;
        // SAFETY: `raw` is not freed.
        cvt(CALL, unsafe { ffi::event_remove_timer(raw) })?;
        if let Some(kept) = self.0.settle() {
            drop((kept, base)); // `self` is another handle of it
        }
        Ok(())
    }

    /// Whether any of `flags` is pending: `READ`, `WRITE` and `SIGNAL` as added, `TIMEOUT`
    /// with a timeout. An event that is active and has not run yet counts.
    ///
    /// PHP: `Event::pending`. libevent: `event_pending`. A freed event has nothing pending;
    /// PHP crashes.
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
    #[doc(alias = "Event::pending", alias = "event_pending")]
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

    /// Makes the event active: its callback runs in this or the next turn of the loop, once,
    /// with `what`, whether the event is pending or not. Until it has run,
    /// [`add`](Self::add) sets its time and does not register its source.
    ///
    /// Beyond PHP. libevent: `event_active`.
    ///
    /// # Errors
    /// [`Error::Argument`] unless `what` is of `READ`, `WRITE`, `TIMEOUT`, or for a signal
    /// event: send the signal with [`process::kill`] instead;
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
    #[doc(alias = "event_active")]
    pub fn active(&self, what: EventFlags) -> Result<()> {
        const CALL: &str = "Event::active";
        let (raw, _base) = self.usable(CALL)?;
        let possible = EventFlags::READ | EventFlags::WRITE | EventFlags::TIMEOUT;
        if what.is_empty() || !possible.contains(what) {
            return Err(Error::argument(
                CALL,
                format!("{what:?} given; it takes READ, WRITE and TIMEOUT"),
            ));
        }
        if self.0.signum().is_some() {
            // libevent would lose count of the calls it still owes to a running callback.
            return Err(Error::argument(
                CALL,
                "a signal event cannot be activated; send the signal with process::kill",
            ));
        }
        // SAFETY: `raw` is not freed; the number of calls matters to signal events only.
        unsafe { ffi::event_active(raw, what.bits().into(), 1) };
        Ok(())
    }

    /// Leaves the event to its base, which keeps it until it is no longer pending: for what
    /// is fired and forgotten.
    ///
    /// An event that is not pending is dropped. What is still pending when the last handle
    /// of the base goes is freed with it.
    ///
    /// Beyond PHP, where a timer that captures itself lives for ever.
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

    /// Sets the priority: 0 is the most urgent; see [`EventBase::priority_init`].
    ///
    /// PHP: `Event::setPriority`. libevent: `event_priority_set`.
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
    #[doc(alias = "Event::setPriority", alias = "event_priority_set")]
    pub fn set_priority(&self, priority: i32) -> Result<()> {
        const CALL: &str = "Event::setPriority";
        let (raw, base) = self.usable(CALL)?;
        // SAFETY: `base` is held by this frame.
        let n = unsafe { ffi::event_base_get_npriorities(base.raw()) };
        if !(0..n).contains(&priority) {
            let reason = format!(
                "priority {priority} given; the base has 0 to {}, see EventBase::priority_init",
                n - 1
            );
            return Err(Error::argument(CALL, reason));
        }
        // SAFETY: `raw` is not freed.
        if unsafe { ffi::event_priority_set(raw, priority) } != 0 {
            return Err(Error::State {
                call: CALL,
                reason: "the event is active; set it before or after it ran",
            });
        }
        base.note_priority(priority);
        Ok(())
    }

    /// Gives the event another base, source and callback; the data is forgotten and the
    /// priority becomes the middle one.
    ///
    /// PHP: `Event::set`, of which this is the form that works whatever is given.
    /// libevent: `event_assign`.
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
    #[doc(alias = "Event::set", alias = "event_assign")]
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
        const CALL: &str = "Event::set";
        check_descriptor_flags(CALL, what)?;
        let fd = source.as_fd().as_raw_fd();
        let callback = move |event: &Event, what: EventFlags| callback(&source, what, event);
        self.assign(CALL, base, Kind::Descriptor, fd, what, Box::new(callback))
    }

    /// Makes the event a timer of `base` with another callback; the data is forgotten.
    ///
    /// PHP: `Event::setTimer`. libevent: `evtimer_assign`. Unlike PHP's, it refuses any
    /// pending event, not only a timer.
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
    #[doc(alias = "Event::setTimer", alias = "evtimer_assign")]
    pub fn set_timer<F>(&self, base: &EventBase, mut callback: F) -> Result<()>
    where
        F: FnMut(&Event) + 'static,
    {
        let callback = Box::new(move |event: &Event, _what: EventFlags| callback(event));
        self.assign(
            "Event::setTimer",
            base,
            Kind::Timer,
            -1,
            EventFlags::empty(),
            callback,
        )
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
        let (raw, _former_base) = self.idle(call)?;
        if self.0.signum().is_some() {
            // libevent may still owe its callback calls for signals that came together.
            return Err(Error::State {
                call,
                reason: "a signal event stays one; make a new event",
            });
        }
        // SAFETY: `raw` is not freed. An event that is idle is in no list of its base.
        unsafe { ffi::event_del(raw) };
        let arg = self.0.arg.get();
        // SAFETY: the event is idle, `base` is held by `Inner` from below on, and `arg` is
        // the count that is lent already.
        let rc = unsafe {
            ffi::event_assign(raw, base.raw(), fd, what.bits(), Some(entry::on_event), arg)
        };
        cvt(call, rc)?;
        self.0.kind.set(kind);
        self.take_base(base);
        let former = (self.0.slot.set(Some(callback)), self.0.data.take());
        drop(former); // no borrow is held: captured values may run user code
        Ok(())
    }

    pub(crate) fn move_to(&self, call: &'static str, base: &Rc<base::Inner>) -> Result<()> {
        let (raw, _former_base) = self.idle(call)?;
        // SAFETY: `raw` is not freed, and `base` is held by `Inner` from below on.
        cvt(call, unsafe { ffi::event_base_set(base.raw(), raw) })?;
        self.take_base(base);
        Ok(())
    }

    /// Counts on another base from now on. The event is idle: what its former base has of
    /// it, because it was pending, is over.
    fn take_base(&self, base: &Rc<base::Inner>) {
        let kept = self.0.settle();
        base.note_priority(base.middle_priority());
        let former = self.0.base.replace(Rc::clone(base));
        drop((kept, former));
    }

    /// Frees the event: it is deleted, its closure, source and data are dropped, and every
    /// later call answers [`Error::Freed`]. In its own callback the closure is dropped when
    /// the callback returns. Freeing twice is harmless.
    ///
    /// PHP: `Event::free`. libevent: `event_free`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| {})?;
    /// let same = timer.clone();
    /// timer.free();
    /// assert!(same.add(None).is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "Event::free", alias = "event_free")]
    pub fn free(&self) {
        let kept = if self.0.detached.replace(false) {
            self.0.base().let_go(self.0.address())
        } else {
            None
        };
        self.0.release();
        let data = self.0.data.take();
        drop((kept, data));
    }

    /// The backends that this system has: `epoll`, `poll`, `select` on Linux.
    ///
    /// PHP: `Event::getSupportedMethods`. libevent: `event_get_supported_methods`.
    ///
    /// # Examples
    /// ```
    /// let methods = php_event::Event::get_supported_methods();
    /// assert!(methods.iter().any(|method| method == "poll"));
    /// ```
    #[doc(
        alias = "Event::getSupportedMethods",
        alias = "event_get_supported_methods"
    )]
    #[must_use]
    pub fn get_supported_methods() -> &'static [String] {
        // libevent frees the list of the call before, so that two threads would free it twice.
        static METHODS: OnceLock<Vec<String>> = OnceLock::new();
        METHODS.get_or_init(|| {
            log::install();
            // SAFETY: called once in the process, so the list is never freed.
            let mut name = unsafe { ffi::event_get_supported_methods() };
            let mut methods = Vec::new();
            while !name.is_null() {
                // SAFETY: `name` points into the list, whose last entry is null.
                let text = unsafe { *name };
                if text.is_null() {
                    break;
                }
                // SAFETY: the entries are constants of the backends.
                methods.push(
                    unsafe { CStr::from_ptr(text) }
                        .to_string_lossy()
                        .into_owned(),
                );
                // SAFETY: the entry is not the last one, which is null.
                name = unsafe { name.add(1) };
            }
            methods
        })
    }
}

fn check_descriptor_flags(call: &'static str, what: EventFlags) -> Result<()> {
    let reason: Cow<'static, str> = if what.contains(EventFlags::TIMEOUT) {
        "TIMEOUT would make the event deaf to its source; give the time to Event::add, or use Event::timer".into()
    } else if what.contains(EventFlags::SIGNAL) {
        "SIGNAL does not go with a source; use Event::signal".into()
    } else if EventFlags::all().contains(what) {
        return Ok(());
    } else {
        format!("{:#x} has bits that are no flags of Event", what.bits()).into()
    };
    Err(Error::argument(call, reason))
}

impl EventBase {
    /// Moves an event that is not pending to this base; its priority becomes the middle one.
    ///
    /// PHP: `EventBase::set`. libevent: `event_base_set`.
    ///
    /// # Errors
    /// [`Error::State`] while the event is pending; [`Error::Freed`], [`Error::Forked`].
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
    #[doc(alias = "EventBase::set", alias = "event_base_set")]
    pub fn set(&self, event: &Event) -> Result<()> {
        self.inner().usable("EventBase::set")?;
        event.move_to("EventBase::set", self.inner())
    }
}

impl PartialEq for Event {
    /// Whether both are the same event, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Event {}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("raw", &self.0.raw.get())
            .field("kind", &self.0.kind.get())
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}
