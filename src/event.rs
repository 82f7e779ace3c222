//! `Event`: something that a base waits for, and the closure that it then calls.
//!
//! Owns: what [`Inner`] has. Lends C what that does.
//! Runs user code: the closure, in the loop; a source's `as_fd`, once for each constructor
//! and [`Event::set`], when nothing is borrowed.
#![allow(unsafe_code)]

mod assign;
mod closure;
mod data;
mod entry;
mod handler;
mod inner;
mod pending;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::rc::Rc;

use closure::{Closure, InPlace};
pub use handler::{EventWith, Handler};
pub(crate) use inner::Inner;
use inner::{Kind, State};

use php_event_macros::php;

use crate::error::{Error, Result};
use crate::flags::{EventFeatures, EventFlags};
use crate::native::{self, OwnedEvent};
use crate::{EventBase, base, process};

/// Something that a base waits for: a descriptor, a signal, or a time.
///
/// A handle is counted: a clone is the same event, as a PHP variable would be. When the
/// last handle goes, the event is deleted and its closure and source are dropped; inside
/// the event's own callback that happens when the callback returns. The closure gets the
/// event's own handle where PHP passes `$arg`, so it need not capture one, which would
/// leak the event.
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
#[must_use = "an event is deleted when its last handle is dropped; keep it, or call detach()"]
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
    /// Unlike PHP's, the descriptor is not borrowed, and `TIMEOUT` is refused here: it would make
    /// the event ignore its source. What PHP makes with `TIMEOUT | PERSIST` is a
    /// [`timer`](Self::timer) that adds itself again.
    ///
    /// # Errors
    /// [`Error::Argument`] for `TIMEOUT` and `SIGNAL`, for bits that are not in the constants,
    /// for `CLOSED` with a backend that does not report it, and for a descriptor that `select`
    /// cannot watch; [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
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
    #[php("Event::__construct", c = "event_new")]
    pub fn new<S, F>(base: &EventBase, source: S, what: EventFlags, mut callback: F) -> Result<Self>
    where
        S: AsFd + 'static,
        F: FnMut(&S, EventFlags, &Event) + 'static,
    {
        let fd = source.as_fd().as_raw_fd();
        let callback = move |event: &Event, what: EventFlags| callback(&source, what, event);
        let base = base.inner();
        Self::descriptor(CALL, base, fd, what, callback)
    }

    /// An event on a source, for code that holds a base without a public handle.
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
        Self::descriptor(call, base, fd, what, callback)
    }

    /// Makes an event on a descriptor number that the event does not own.
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
        check_number(CALL, fd)?;
        let callback = move |event: &Event, what: EventFlags| callback(fd, what, event);
        Self::descriptor(CALL, base.inner(), fd, what, callback)
    }

    /// Makes a one-shot event that fires when the time given to [`add`](Self::add) has passed.
    ///
    /// Add it again in its callback to repeat it. The event is not added yet.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when out of memory.
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
    #[php("Event::timer", c = "evtimer_new")]
    pub fn timer<F>(base: &EventBase, callback: F) -> Result<Self>
    where
        F: FnMut(&Event) + 'static,
    {
        Self::timer_on(CALL, base.inner(), callback)
    }

    /// A timer, for code that holds a base without a public handle.
    pub(crate) fn timer_on<F>(
        call: &'static str,
        base: &Rc<base::Inner>,
        mut callback: F,
    ) -> Result<Self>
    where
        F: FnMut(&Event) + 'static,
    {
        let callback = move |event: &Event, _what: EventFlags| callback(event);
        Self::make(call, base, Kind::Timer, -1, EventFlags::empty(), callback)
    }

    /// Makes an event that fires each time the process gets a signal. It is not added yet.
    ///
    /// The callback runs in the loop, never in the middle of other code, once for each time
    /// the signal came. When it stops the loop, the calls that are still owed for this signal are
    /// lost, as in PHP: after [`EventBase::stop`](crate::EventBase::stop),
    /// [`EventBase::interrupt`](crate::EventBase::interrupt) or a panic, though not after
    /// [`EventBase::exit`](crate::EventBase::exit). Deleting the event restores the signal's
    /// previous disposition. One base at a time can have signal events.
    ///
    /// To catch a signal once, delete the event in its callback.
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
    #[php("Event::signal", c = "evsignal_new")]
    pub fn signal<F>(base: &EventBase, signum: c_int, mut callback: F) -> Result<Self>
    where
        F: FnMut(c_int, &Event) + 'static,
    {
        let number = check_signal(CALL, signum)?;
        let callback = move |event: &Event, _what: EventFlags| callback(signum, event);
        let what = EventFlags::SIGNAL | EventFlags::PERSIST;
        Self::make(
            CALL,
            base.inner(),
            Kind::Signal(number),
            signum,
            what,
            callback,
        )
    }

    fn descriptor<F>(
        call: &'static str,
        base: &Rc<base::Inner>,
        fd: RawFd,
        what: EventFlags,
        callback: F,
    ) -> Result<Self>
    where
        F: FnMut(&Self, EventFlags) + 'static,
    {
        base.usable(call)?;
        check_descriptor(call, base, fd, what)?;
        Self::make(call, base, Kind::Descriptor, fd, what, callback)
    }

    fn make<F>(
        call: &'static str,
        base: &Rc<base::Inner>,
        kind: Kind,
        fd: c_int,
        what: EventFlags,
        callback: F,
    ) -> Result<Self>
    where
        F: FnMut(&Self, EventFlags) + 'static,
    {
        let inner = Inner::make(call, base, kind, fd, what, || InPlace::new(callback))?;
        Ok(Self(inner))
    }

    /// The base that the event belongs to.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |event| drop(event.base().stop()))?;
    /// assert_eq!(timer.base(), base);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(c = "event_get_base")]
    #[must_use]
    pub fn base(&self) -> EventBase {
        EventBase::of(&self.0.base())
    }

    /// Frees the event: it is deleted, its closure, source and data are dropped, and every
    /// later call returns [`Error::Freed`]. In its own callback the closure is dropped when
    /// the callback returns. Freeing twice is harmless.
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
    #[php("Event::free", c = "event_free")]
    pub fn free(&self) {
        self.0.free();
    }

    /// The backends that this system has: `epoll`, `poll`, `select` on Linux.
    ///
    /// # Examples
    /// ```
    /// let methods = php_event::Event::get_supported_methods();
    /// assert!(methods.iter().any(|method| method == "poll"));
    /// ```
    #[php("Event::getSupportedMethods", c = "event_get_supported_methods")]
    #[must_use]
    pub fn get_supported_methods() -> &'static [String] {
        native::supported_methods()
    }
}

impl<C: Closure + 'static> Inner<C> {
    /// Makes an event. Nothing of it is left when that fails.
    fn make(
        call: &'static str,
        base: &Rc<base::Inner>,
        kind: Kind,
        fd: c_int,
        what: EventFlags,
        closure: impl FnOnce() -> C,
    ) -> Result<Rc<Self>> {
        base.usable(call)?;
        let inner = Self::freed(base, kind, closure);
        let mut native = inner.native.borrow_mut();
        // SAFETY: `memory` is a field of `Inner`, and `inner` is new. `inner.base` keeps the base
        // for longer than `inner.native`; `on_event` takes its argument for an `Inner` with a `C`;
        // `inner.closure` owns the source of `fd` until `release` has dropped the event, or the
        // caller of `new_raw` or `EventWith::descriptor` keeps `fd` open.
        *native = Some(unsafe {
            OwnedEvent::new(
                call,
                base.native(),
                fd,
                what,
                entry::on_event::<C>,
                &inner,
                Self::memory,
            )
        }?);
        drop(native);
        base.note_priority(base.middle_priority());
        Ok(inner)
    }

    /// What an event is once it is freed.
    fn freed(base: &Rc<base::Inner>, kind: Kind, closure: impl FnOnce() -> C) -> Rc<Self> {
        Self::new(|| State {
            native: RefCell::default(),
            kind: Cell::new(kind),
            data: RefCell::default(),
            base: RefCell::new(Rc::clone(base)),
            serializing: Cell::new(false),
            detached: Cell::new(false),
            enlisted: Cell::new(false),
            timeless: Cell::new(false),
            ended: Cell::new(false),
            closure: closure(),
        })
    }
}

/// Refuses a number that no descriptor has.
fn check_number(call: &'static str, fd: RawFd) -> Result<()> {
    if fd >= 0 {
        return Ok(());
    }
    Err(Error::argument(
        call,
        format!("{fd} is not a descriptor; Event::timer makes an event without one"),
    ))
}

/// Refuses a signal that cannot be caught. Returns the number of any other.
fn check_signal(call: &'static str, signum: c_int) -> Result<u8> {
    if let Ok(number @ 1..=64) = u8::try_from(signum)
        && !matches!(signum, libc::SIGKILL | libc::SIGSTOP | 32 | 33)
    {
        return Ok(number);
    }
    let reason = match signum {
        libc::SIGKILL | libc::SIGSTOP => format!(
            "signal {signum} ({}) cannot be caught; give another number",
            process::signal_name(signum)
        ),
        1..=64 => format!("signal {signum} is the C library's own; give another number"),
        _ => format!("there is no signal {signum}; give a number from 1 to 64"),
    };
    Err(Error::argument(call, reason))
}

/// Refuses flags that don't go with a descriptor, and what the backend cannot watch.
fn check_descriptor(
    call: &'static str,
    base: &base::Inner,
    fd: RawFd,
    what: EventFlags,
) -> Result<()> {
    let reason: Cow<'static, str> = if what.contains(EventFlags::TIMEOUT) {
        "TIMEOUT would make the event deaf to its source; give the time to Event::add, or use Event::timer".into()
    } else if what.contains(EventFlags::SIGNAL) {
        "SIGNAL does not go with a source; use Event::signal".into()
    } else if !EventFlags::all().contains(what) {
        format!("{:#x} has bits that are not flags of Event", what.bits()).into()
    } else {
        return check_backend(call, base, fd, what);
    };
    Err(Error::argument(call, reason))
}

/// Refuses what the base's backend cannot watch.
fn check_backend(
    call: &'static str,
    base: &base::Inner,
    fd: RawFd,
    what: EventFlags,
) -> Result<()> {
    let native = base.native();
    if what.contains(EventFlags::CLOSED) && !native.features().contains(EventFeatures::EARLY_CLOSE)
    {
        let reason = format!(
            "{} does not report CLOSED: use epoll or poll, or wait for READ and read to the end",
            native.method()
        );
        return Err(Error::argument(call, reason));
    }
    base.watchable(call, fd)
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
        // Nothing is borrowed from here on: what `f` writes to is user code.
        let raw = self.0.native().map(|event| event.raw());
        f.debug_struct("Event")
            .field("raw", &raw)
            .field("kind", &self.0.kind.get())
            .field("pending", &self.is_pending())
            .finish_non_exhaustive()
    }
}
