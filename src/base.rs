//! `EventBase`: the loop that events belong to.
//!
//! Owns: one `event_base`, freed with the last handle or event that counts on it; the
//! detached events and buffer events, which go with the last handle; in a forked child, what
//! could not be freed yet.
//! Lent to C: nothing.
//! Runs user code: every callback of its events, from [`EventBase::loop`].
#![allow(unsafe_code)]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::fs::File;
use std::ptr;
use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::error::{Error, Result, cvt, cvt_p};
use crate::flags::{EventFeatures, LoopFlags};
use crate::runtime::{self, LoopScope, signals, watch_forks};
use crate::{EventConfig, ffi, log, process};

/// How many descriptors libevent opens for a base at most: epoll, timer, signal pair.
/// It ends the process if it gets no signal pair, so they are asked for before.
const DESCRIPTORS_OF_A_BASE: usize = 4;

/// Turns that a base runs at its end for what was freed: each takes one priority, and what
/// stands on something else, such as TLS on a filter on a pair, one turn for each.
const LAST_TURNS: usize = 64;

/// The longest time an event or an exit waits, about 136 years; longer ones become this.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(u32::MAX as u64);

/// A loop and the events that belong to it.
///
/// A handle is counted: a clone is the same base, as a PHP variable would be. Events count
/// on their base too, so whatever is dropped first, the base goes last.
///
/// PHP: `EventBase`. libevent: `struct event_base`.
///
/// # Examples
/// ```
/// use php_event::{Event, EventBase};
/// use std::time::Duration;
///
/// let base = EventBase::new()?;
/// let once = Event::timer(&base, |_event| println!("a millisecond passed"))?;
/// once.add(Some(Duration::from_millis(1)))?;
/// base.dispatch()?; // returns when nothing is pending any more
/// # Ok::<(), php_event::EventException>(())
/// ```
///
/// A base and its events stay in one thread:
/// ```compile_fail,E0277
/// let base = php_event::EventBase::new().unwrap();
/// std::thread::spawn(move || base.dispatch());
/// ```
/// ```
/// std::thread::spawn(|| php_event::EventBase::new()?.dispatch()).join().unwrap()?;
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "event_base")]
pub struct EventBase(Rc<Handle>);

/// What the public handles share; events count on [`Inner`] alone, so that a detached
/// event, which the base keeps, does not keep the base in turn.
#[derive(Debug)]
struct Handle {
    inner: Rc<Inner>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let kept = self.inner.kept.take();
        drop(kept); // nothing is borrowed: captured values may run user code
    }
}

pub(crate) struct Inner {
    raw: *mut ffi::event_base,
    generation: Cell<u32>,
    depth: Cell<u32>, // how many C calls that may run callbacks are on the stack
    freed: Cell<bool>,
    handle: RefCell<Weak<Handle>>, // what the public handles share, while there is one
    top_priority: Cell<i32>,       // no event of this base ever had a higher number
    signals: RefCell<HashMap<usize, Weak<dyn SignalEvent>>>, // those that are added, by address
    kept: RefCell<HashMap<usize, Box<dyn Any>>>, // detached events and buffer events, by address
    owes_a_turn: Cell<bool>,       // something freed is finished by the loop, see `Inner::drop`
    events_of_c: Cell<bool>,       // libevent makes events here at times that nobody is told of
    remains: RefCell<Vec<Box<dyn Remains>>>,
    inherited: RefCell<Vec<Weak<dyn Inherited>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("raw", &self.raw)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Inner {
    pub(crate) fn raw(&self) -> *mut ffi::event_base {
        self.raw
    }

    /// Whether this process is a child, made by `fork`, that has not called `re_init` yet.
    pub(crate) fn is_foreign(&self) -> bool {
        self.generation.get() != process::generation()
    }

    pub(crate) fn is_freed(&self) -> bool {
        self.freed.get()
    }

    /// Refuses a base that C must not be called with.
    pub(crate) fn usable(&self, call: &'static str) -> Result<()> {
        if self.is_foreign() {
            return Err(Error::Forked { call });
        }
        if self.is_freed() {
            return Err(Error::Freed {
                call,
                object: "base",
            });
        }
        Ok(())
    }

    /// Ends the loop after the running callback. Touches this process's memory only.
    pub(crate) fn stop(&self) {
        // SAFETY: `raw` lives until `Inner::drop`; without locks the call only sets a flag.
        unsafe { ffi::event_base_loopbreak(self.raw) };
    }

    pub(crate) fn note_priority(&self, priority: i32) {
        self.top_priority.set(self.top_priority.get().max(priority));
    }

    /// The priority that libevent gives a new event: the middle one.
    pub(crate) fn middle_priority(&self) -> i32 {
        // SAFETY: `raw` lives until `Inner::drop`.
        unsafe { ffi::event_base_get_npriorities(self.raw) / 2 }
    }

    /// Notes that libevent makes events of its own here from now on, and at any time: they get
    /// the middle priority of that time.
    pub(crate) fn expect_events_of_c(&self) {
        self.events_of_c.set(true);
        self.note_priority(self.middle_priority());
    }

    /// Whether no callback is waiting for its turn, libevent's own included. The one that is
    /// running does not count.
    pub(crate) fn is_idle(&self) -> bool {
        // SAFETY: `raw` lives until `Inner::drop`.
        unsafe { ffi::event_base_get_num_events(self.raw, ffi::EVENT_BASE_COUNT_ACTIVE) == 0 }
    }

    /// Whether a public handle is left, with whose end what is kept is released.
    fn has_handle(&self) -> bool {
        self.handle.borrow().strong_count() > 0
    }

    /// Keeps the handle of a detached object at `address` until [`let_go`](Self::let_go), or
    /// drops it where that would be for ever.
    pub(crate) fn keep(&self, address: usize, handle: impl Any) {
        if !self.has_handle() {
            return;
        }
        let before = self.kept.borrow_mut().insert(address, Box::new(handle));
        drop(before); // another handle of the same object, hence not the last
    }

    /// Returns the handle that the base kept of the object at `address`, for the caller to
    /// drop.
    pub(crate) fn let_go(&self, address: usize) -> Option<Box<dyn Any>> {
        self.kept.borrow_mut().remove(&address)
    }

    /// Frees what is left of an object, or leaves it to the parent: in a forked child that
    /// has not called `re_init` yet, C must not be told, and the base keeps it until then.
    pub(crate) fn end(&self, remains: impl Remains + 'static) {
        if self.is_foreign() {
            self.adopt(Box::new(remains));
        } else {
            Box::new(remains).free(self);
        }
    }

    /// Holds what cannot be freed now, until `re_init` in a foreign child, or the base's end.
    pub(crate) fn adopt(&self, remains: Box<dyn Remains>) {
        self.remains.borrow_mut().push(remains);
    }

    /// Notes that a signal event is added, and takes the signal for this base.
    pub(crate) fn add_signal(
        &self,
        call: &'static str,
        record: &mut signals::Record,
        address: usize,
        event: Weak<dyn SignalEvent>,
        signum: c_int,
    ) -> Result<()> {
        record.claim(call, self.address())?;
        if self.signals.borrow_mut().insert(address, event).is_none() {
            record.take(signum);
        }
        Ok(())
    }

    /// Notes that the signal event at `address` is not added any more.
    pub(crate) fn remove_signal(
        &self,
        record: &mut signals::Record,
        address: usize,
        signum: c_int,
    ) {
        if self.signals.borrow_mut().remove(&address).is_some() {
            record.give_back(self.address(), signum);
        }
    }

    /// What the record of signals knows this base by.
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// Has `re_init` tell `object` that it is in a child now.
    pub(crate) fn disown_in_children(&self, object: Weak<dyn Inherited>) {
        let mut inherited = self.inherited.borrow_mut();
        inherited.retain(|object| object.strong_count() > 0);
        inherited.push(object);
    }

    /// Runs a C call that may call back, outside of a loop too, and raises the panic that a
    /// callback ended in. No loop of this base starts meanwhile: it would free under C what
    /// C is at work on.
    pub(crate) fn calling<T>(&self, call: impl FnOnce() -> T) -> T {
        let result = self.calling_in_drop(call);
        runtime::resume();
        result
    }

    /// As [`calling`](Self::calling), for a destructor: a panic waits for the next call.
    pub(crate) fn calling_in_drop<T>(&self, call: impl FnOnce() -> T) -> T {
        let _depth = Depth::enter(self);
        let _scope = LoopScope::enter();
        call()
    }

    /// Refuses what must not happen under a running callback of this base.
    fn at_rest(&self, call: &'static str, reason: &'static str) -> Result<()> {
        if self.depth.get() == 0 {
            Ok(())
        } else {
            Err(Error::State { call, reason })
        }
    }

    /// Notes that libevent finishes something it was told to free in a later turn.
    pub(crate) fn owe_a_turn(&self) {
        self.owes_a_turn.set(true);
    }

    /// Runs what libevent has scheduled to finish what was freed: it holds counts that
    /// `event_base_free` alone would leak. Nothing of the user's is left to be called.
    fn finish(&self) {
        let once = LoopFlags::ONCE | LoopFlags::NONBLOCK;
        let _signals = signals::lock(); // libevent looks at its process-wide signal state
        for _turn in 0..LAST_TURNS {
            // SAFETY: `raw` is freed after this, in `drop`.
            unsafe { ffi::event_base_loop(self.raw, once.bits()) };
            if self.is_idle() {
                break;
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_foreign() {
            // Freeing would tell the parent's epoll set to forget the parent's events.
            self.remains.take().into_iter().for_each(std::mem::forget);
            return;
        }
        if self.owes_a_turn.get() {
            self.finish();
        }
        for remains in self.remains.take() {
            self.finish();
            remains.free(self);
        }
        let _signals = signals::lock(); // libevent looks at its process-wide signal state
        // SAFETY: made by `EventBase::make`, freed only here; every event of this base held
        // a count of it and is gone.
        unsafe { ffi::event_base_free(self.raw) };
    }
}

impl runtime::Loop for Inner {
    fn stop(&self) {
        self.stop();
    }

    fn is_foreign(&self) -> bool {
        self.is_foreign()
    }
}

/// What is left of an object after its last handle has gone: what C holds of it.
pub(crate) trait Remains {
    /// Frees it. The base is this process's own, and at rest unless the object says otherwise.
    fn free(self: Box<Self>, base: &Inner);
}

pub(crate) use Remains as Orphan;

/// A signal event that is added to a base.
pub(crate) trait SignalEvent {
    fn signum(&self) -> c_int;
    /// Deletes it: the signal does again what it did before.
    fn del(self: Rc<Self>) -> Result<()>;
}

/// Something that a forked child must not go on with, because it shares with its parent what
/// only one of them may use.
pub(crate) trait Inherited {
    /// Ends it in this process, which is a child that its base belongs to now.
    fn disown(&self);
}

/// Counts a C call on the base, for as long as it lives.
struct Depth<'a>(&'a Cell<u32>);

impl<'a> Depth<'a> {
    fn enter(inner: &'a Inner) -> Self {
        inner.depth.set(inner.depth.get() + 1);
        Self(&inner.depth)
    }
}

impl Drop for Depth<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// How a loop came to its end; see [`EventBase::loop`].
///
/// # Examples
/// ```
/// use php_event::{EventBase, LoopEnd};
///
/// assert_eq!(EventBase::new()?.dispatch()?, LoopEnd::NoEvents);
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoopEnd {
    /// No event was pending any more.
    NoEvents,
    /// [`EventBase::stop`] was called.
    Stop,
    /// [`EventBase::exit`] was called, or its time had come.
    Exit,
    /// [`EventBase::LOOP_ONCE`] or [`EventBase::LOOP_NONBLOCK`] had done its work.
    Passed,
}

impl EventBase {
    /// Makes a base with the best backend of the system.
    ///
    /// PHP: `EventBase::__construct` without a config. libevent: `event_base_new`.
    ///
    /// # Errors
    /// [`Error::Io`] when the process has too few descriptors left; [`Error::Call`] when
    /// the environment (`EVENT_NOEPOLL`, `EVENT_NOPOLL`, `EVENT_NOSELECT`) leaves no backend.
    ///
    /// # Examples
    /// ```
    /// let base = php_event::EventBase::new()?;
    /// assert!(["epoll", "kqueue", "poll"].contains(&base.get_method()));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::__construct", alias = "event_base_new")]
    pub fn new() -> Result<Self> {
        Self::make(None)
    }

    /// Makes a base as a config wants it. The config may be used again.
    ///
    /// PHP: `EventBase::__construct` with a config. libevent: `event_base_new_with_config`.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Call`] when no backend fits the config.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    ///
    /// let config = EventConfig::new()?;
    /// config.avoid_method("epoll")?;
    /// let base = EventBase::with_config(&config)?;
    /// assert_ne!(base.get_method(), "epoll");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "event_base_new_with_config")]
    pub fn with_config(config: &EventConfig) -> Result<Self> {
        Self::make(Some(config))
    }

    fn make(config: Option<&EventConfig>) -> Result<Self> {
        const CALL: &str = "EventBase::__construct";
        log::install();
        watch_forks();
        let room = (0..DESCRIPTORS_OF_A_BASE)
            .map(|_| File::open("/dev/null"))
            .collect::<Result<Vec<_>, _>>();
        drop(room.map_err(|error| Error::io(CALL, error))?);
        let raw = match config {
            // SAFETY: takes nothing from us.
            None => unsafe { ffi::event_base_new() },
            // SAFETY: `config` holds its `event_config` for as long as this call lasts.
            Some(config) => unsafe { ffi::event_base_new_with_config(config.raw()) },
        };
        let raw = cvt_p(CALL, raw)?;
        let inner = Rc::new(Inner {
            raw,
            generation: Cell::new(process::generation()),
            depth: Cell::new(0),
            freed: Cell::new(false),
            handle: RefCell::default(),
            top_priority: Cell::new(0),
            signals: RefCell::default(),
            kept: RefCell::default(),
            owes_a_turn: Cell::new(false),
            events_of_c: Cell::new(false),
            remains: RefCell::default(),
            inherited: RefCell::default(),
        });
        Ok(Self::of(&inner))
    }

    /// A public handle, for what counts on [`Inner`]: one more of those that there are, or a
    /// new one when all are gone.
    pub(crate) fn of(inner: &Rc<Inner>) -> Self {
        let present = inner.handle.borrow().upgrade();
        Self(present.unwrap_or_else(|| {
            let handle = Rc::new(Handle {
                inner: Rc::clone(inner),
            });
            inner.handle.replace(Rc::downgrade(&handle));
            handle
        }))
    }

    pub(crate) fn inner(&self) -> &Rc<Inner> {
        &self.0.inner
    }

    /// The backend's name: `epoll`, `poll`, `select`, or `epoll (with changelist)`.
    ///
    /// PHP: `EventBase::getMethod`. libevent: `event_base_get_method`.
    ///
    /// # Examples
    /// ```
    /// let base = php_event::EventBase::new()?;
    /// println!("waits with {}", base.get_method());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::getMethod", alias = "event_base_get_method")]
    #[must_use]
    pub fn get_method(&self) -> &str {
        // SAFETY: `self` holds the base.
        let name = unsafe { ffi::event_base_get_method(self.inner().raw) };
        // SAFETY: the name is a constant of the backend.
        unsafe { CStr::from_ptr(name) }
            .to_str()
            .unwrap_or("unknown")
    }

    /// What the backend can do.
    ///
    /// PHP: `EventBase::getFeatures`. libevent: `event_base_get_features`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    ///
    /// let base = EventBase::new()?;
    /// if base.get_features().contains(EventConfig::FEATURE_ET) {
    ///     println!("has edge-triggered events");
    /// }
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::getFeatures", alias = "event_base_get_features")]
    #[must_use]
    pub fn get_features(&self) -> EventFeatures {
        // SAFETY: `self` holds the base.
        let bits = unsafe { ffi::event_base_get_features(self.inner().raw) };
        EventFeatures::from_bits_retain(bits.cast_unsigned())
    }

    /// Sets the number of priorities, 1 to 255; 0 is the most urgent, new events get the
    /// middle one.
    ///
    /// PHP: `EventBase::priorityInit`. libevent: `event_base_priority_init`.
    ///
    /// # Errors
    /// [`Error::Argument`] outside of that range, or below a priority that an event of this
    /// base has or had; [`Error::State`] inside a callback, where PHP crashes, and while
    /// events are active.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// let base = EventBase::new()?;
    /// base.priority_init(3)?;
    /// Event::timer(&base, |_event| {})?.set_priority(2)?; // the least urgent
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::priorityInit", alias = "event_base_priority_init")]
    pub fn priority_init(&self, n_priorities: i32) -> Result<()> {
        const CALL: &str = "EventBase::priorityInit";
        let inner = self.inner();
        inner.usable(CALL)?;
        if !(1..ffi::EVENT_MAX_PRIORITIES.cast_signed()).contains(&n_priorities) {
            return Err(Error::argument(
                CALL,
                format!("{n_priorities} priorities asked for; 1 to 255 are possible"),
            ));
        }
        inner.at_rest(
            CALL,
            "not possible inside a callback; call it before the loop",
        )?;
        let top = inner.top_priority.get();
        if n_priorities <= top {
            let reason = format!(
                "{n_priorities} priorities asked for, but an event of this base has priority {top}"
            );
            return Err(Error::argument(CALL, reason));
        }
        // SAFETY: `self` holds the base, no callback is running, and no event has a priority
        // that libevent would assert on later.
        let rc = unsafe { ffi::event_base_priority_init(inner.raw, n_priorities) };
        let active = Error::State {
            call: CALL,
            reason: "events are active and have not run yet; run the loop first",
        };
        if rc != 0 {
            return Err(active);
        }
        if inner.events_of_c.get() {
            inner.note_priority(inner.middle_priority());
        }
        Ok(())
    }

    /// Runs the loop: waits for events and calls their callbacks.
    ///
    /// Without flags it runs until no event is pending, [`stop`](Self::stop) or
    /// [`exit`](Self::exit) is called. `LOOP_ONCE` waits for one turn; `LOOP_NONBLOCK` does
    /// not wait, but goes on while a poll finds work; both together make exactly one pass.
    /// A panic in a callback deletes its event, breaks the loop and comes out of this method,
    /// after which the loop may be run again.
    ///
    /// PHP: `EventBase::loop`. libevent: `event_base_loop`.
    ///
    /// # Errors
    /// [`Error::State`] when this base's loop is already running; [`Error::Call`] when the
    /// backend fails; [`Error::Forked`] when a callback forked and this is the child.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd, LoopFlags};
    ///
    /// let base = EventBase::new()?;
    /// assert_eq!(base.r#loop(LoopFlags::empty())?, LoopEnd::NoEvents);
    ///
    /// let other = base.clone();
    /// let at_once = Event::timer(&base, move |_event| drop(other.stop()))?;
    /// at_once.add(Some(std::time::Duration::ZERO))?;
    /// assert_eq!(base.r#loop(EventBase::LOOP_ONCE)?, LoopEnd::Stop);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::loop", alias = "event_base_loop")]
    pub fn r#loop(&self, flags: LoopFlags) -> Result<LoopEnd> {
        self.loop_as("EventBase::loop", flags)
    }

    fn loop_as(&self, call: &'static str, flags: LoopFlags) -> Result<LoopEnd> {
        let handle = self.clone(); // a callback may drop every other handle of this base
        let inner = handle.inner();
        inner.usable(call)?;
        inner.at_rest(call, "this base's loop is already running")?;
        let flags = (flags & LoopFlags::all()).bits();
        // SAFETY: `handle` keeps the base until this method returns, and `at_rest` keeps a
        // second loop out.
        let rc = inner.calling(|| unsafe { ffi::event_base_loop(inner.raw, flags) });
        if inner.is_foreign() {
            return Err(Error::Forked { call });
        }
        let rc = cvt(call, rc)?;
        log::flush();
        Ok(match rc {
            1 => LoopEnd::NoEvents,
            _ if self.got_stop() => LoopEnd::Stop,
            _ if self.got_exit() => LoopEnd::Exit,
            _ => LoopEnd::Passed,
        })
    }

    /// Runs the loop without flags.
    ///
    /// PHP: `EventBase::dispatch`. libevent: `event_base_dispatch`.
    ///
    /// # Errors
    /// As [`loop`](Self::loop).
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let timer = Event::timer(&base, |_event| println!("now"))?;
    /// timer.add(Some(Duration::from_millis(1)))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::NoEvents);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::dispatch", alias = "event_base_dispatch")]
    pub fn dispatch(&self) -> Result<LoopEnd> {
        self.loop_as("EventBase::dispatch", LoopFlags::empty())
    }

    /// Ends the loop: after this turn, whose other active events still run, or when
    /// `timeout` has passed.
    ///
    /// Before a loop, `exit(None)` lets it make one short pass. A time that is still running
    /// when the loop ends otherwise will end a later one.
    ///
    /// PHP: `EventBase::exit`. libevent: `event_base_loopexit`. `None` is PHP's −1 or no
    /// argument.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let far_off = Event::timer(&base, |_event| unreachable!())?;
    /// far_off.add(Some(Duration::from_secs(3600)))?;
    /// base.exit(Some(Duration::from_millis(1)))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::Exit);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::exit", alias = "event_base_loopexit")]
    pub fn exit(&self, timeout: Option<Duration>) -> Result<()> {
        const CALL: &str = "EventBase::exit";
        self.inner().usable(CALL)?;
        let timeout = timeout.map(timeval);
        let time = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: `self` holds the base; libevent copies the time.
        cvt(CALL, unsafe {
            ffi::event_base_loopexit(self.inner().raw, time)
        })?;
        // The time is an event of libevent's own.
        self.inner().note_priority(self.inner().middle_priority());
        Ok(())
    }

    /// Ends the loop right after the running callback; the other active events stay
    /// pending and run first in the next loop. Before a loop it has no effect.
    ///
    /// PHP: `EventBase::stop`. libevent: `event_base_loopbreak`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase, LoopEnd};
    /// use std::time::Duration;
    ///
    /// let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let timer = Event::timer(&base, move |_event| stop.stop().unwrap())?;
    /// timer.add(Some(Duration::ZERO))?;
    /// assert_eq!(base.dispatch()?, LoopEnd::Stop);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::stop", alias = "event_base_loopbreak")]
    pub fn stop(&self) -> Result<()> {
        self.inner().usable("EventBase::stop")?;
        self.inner().stop();
        Ok(())
    }

    /// Tells the running loop to look for events again before less urgent ones run.
    ///
    /// PHP: `EventBase::resume`. libevent: `event_base_loopcontinue`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let again = base.clone();
    /// let long = Event::timer(&base, move |_event| again.resume().unwrap())?;
    /// # long.add(Some(Duration::ZERO))?;
    /// # base.dispatch()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::resume", alias = "event_base_loopcontinue")]
    pub fn resume(&self) -> Result<()> {
        const CALL: &str = "EventBase::resume";
        self.inner().usable(CALL)?;
        // SAFETY: `self` holds the base.
        cvt(CALL, unsafe {
            ffi::event_base_loopcontinue(self.inner().raw)
        })
        .map(drop)
    }

    /// Whether [`exit`](Self::exit) ended the last loop.
    ///
    /// PHP: `EventBase::gotExit`. libevent: `event_base_got_exit`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// # let far_off = php_event::Event::timer(&base, |_event| {})?;
    /// # far_off.add(Some(Duration::from_secs(3600)))?;
    /// base.exit(Some(Duration::ZERO))?;
    /// base.dispatch()?;
    /// assert!(base.got_exit() && !base.got_stop());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::gotExit", alias = "event_base_got_exit")]
    #[must_use]
    pub fn got_exit(&self) -> bool {
        // SAFETY: `self` holds the base.
        unsafe { ffi::event_base_got_exit(self.inner().raw) != 0 }
    }

    /// Whether [`stop`](Self::stop) ended the last loop, or was called since.
    ///
    /// PHP: `EventBase::gotStop`. libevent: `event_base_got_break`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{Event, EventBase};
    /// # use std::time::Duration;
    /// # let base = EventBase::new()?;
    /// let stop = base.clone();
    /// let timer = Event::timer(&base, move |_event| stop.stop().unwrap())?;
    /// timer.add(Some(Duration::ZERO))?;
    /// base.dispatch()?;
    /// assert!(base.got_stop() && !base.got_exit());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::gotStop", alias = "event_base_got_break")]
    #[must_use]
    pub fn got_stop(&self) -> bool {
        // SAFETY: `self` holds the base.
        unsafe { ffi::event_base_got_break(self.inner().raw) != 0 }
    }

    /// The time of this turn of the loop; outside of it, or with
    /// [`NO_CACHE_TIME`](Self::NO_CACHE_TIME), now.
    ///
    /// PHP: `EventBase::getTimeOfDayCached`, in seconds since 1970.
    /// libevent: `event_base_gettimeofday_cached`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`]; [`Error::Call`] when the clock fails.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// println!("{:?}", base.get_time_of_day_cached()?);
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBase::getTimeOfDayCached",
        alias = "event_base_gettimeofday_cached"
    )]
    pub fn get_time_of_day_cached(&self) -> Result<SystemTime> {
        const CALL: &str = "EventBase::getTimeOfDayCached";
        self.inner().usable(CALL)?;
        let mut time = ffi::timeval {
            tv_sec: 0,
            tv_usec: 0,
        };
        // SAFETY: `self` holds the base; `time` is written before the call returns.
        cvt(CALL, unsafe {
            ffi::event_base_gettimeofday_cached(self.inner().raw, &mut time)
        })?;
        let seconds = Duration::from_secs(time.tv_sec.max(0).cast_unsigned());
        Ok(UNIX_EPOCH + seconds + Duration::from_micros(time.tv_usec.max(0).cast_unsigned()))
    }

    /// Reads the clock, so that times that are set in a slow callback count from now.
    ///
    /// PHP: `EventBase::updateCacheTime`. libevent: `event_base_update_cache_time`.
    ///
    /// # Errors
    /// [`Error::Freed`], [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// base.update_cache_time()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventBase::updateCacheTime",
        alias = "event_base_update_cache_time"
    )]
    pub fn update_cache_time(&self) -> Result<()> {
        const CALL: &str = "EventBase::updateCacheTime";
        self.inner().usable(CALL)?;
        // SAFETY: `self` holds the base.
        cvt(CALL, unsafe {
            ffi::event_base_update_cache_time(self.inner().raw)
        })
        .map(drop)
    }

    /// Makes the base usable in a forked child: its events work on, apart from the parent's.
    ///
    /// Until then every call on the base and its events answers [`Error::Forked`], and
    /// handles dropped meanwhile are only freed here. Without a fork it does nothing.
    ///
    /// PHP: `EventBase::reInit`. libevent: `event_reinit`.
    ///
    /// # Errors
    /// [`Error::State`] inside a callback, with more than one thread, and when the base has
    /// signal events but another base of this process took the signals meanwhile;
    /// [`Error::Call`] when an event could not be registered again.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventBase;
    /// use php_event::process::{self, Fork, Wait};
    ///
    /// let base = EventBase::new()?;
    /// match process::fork() {
    ///     Ok(Fork::Child) => {
    ///         base.re_init().unwrap();
    ///         base.dispatch().unwrap();
    ///         std::process::exit(0);
    ///     }
    ///     Ok(Fork::Parent(_child)) => println!("{:?}", process::wait(Wait::Block)?),
    ///     Err(error) => println!("{error}"), // a second thread is running
    /// }
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::reInit", alias = "event_reinit")]
    pub fn re_init(&self) -> Result<()> {
        const CALL: &str = "EventBase::reInit";
        let inner = self.inner();
        if inner.is_freed() {
            return Err(Error::Freed {
                call: CALL,
                object: "base",
            });
        }
        inner.at_rest(CALL, "not possible inside a callback; leave the loop first")?;
        if !inner.is_foreign() {
            return Ok(());
        }
        if process::threads(CALL)? != 1 {
            // libevent closes its signal pair twice here, and between the two another thread
            // could be given the numbers.
            return Err(Error::State {
                call: CALL,
                reason: "not possible with more than one thread: call it before the others start",
            });
        }
        let mut record = signals::lock();
        let added = inner.signals.borrow();
        if !added.is_empty() {
            record.claim(CALL, inner.address())?;
        }
        for event in added.values().filter_map(Weak::upgrade) {
            record.take(event.signum());
        }
        drop(added);
        // SAFETY: `self` holds the base, and no loop of it is running.
        let rc = unsafe { ffi::event_reinit(inner.raw) };
        inner.generation.set(process::generation());
        drop(record);
        for remains in inner.remains.take() {
            remains.free(inner); // its base tells this process's own backend now
        }
        for object in inner.inherited.take() {
            if let Some(object) = object.upgrade() {
                object.disown();
            }
        }
        cvt(CALL, rc).map(drop)
    }

    /// Frees the base: its events are no longer pending and every later call answers
    /// [`Error::Freed`]. Freeing twice is harmless.
    ///
    /// What C holds goes with the last event. Detached events go now.
    ///
    /// PHP: `EventBase::free`, which leaves its events with a dangling pointer.
    /// libevent: `event_base_free`.
    ///
    /// # Errors
    /// [`Error::State`] inside a callback of this base, where PHP crashes;
    /// [`Error::Forked`] in a child before [`re_init`](Self::re_init).
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// let same = base.clone();
    /// base.free()?;
    /// assert!(same.dispatch().is_err());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventBase::free", alias = "event_base_free")]
    pub fn free(&self) -> Result<()> {
        const CALL: &str = "EventBase::free";
        let inner = self.inner();
        if inner.is_freed() {
            return Ok(());
        }
        inner.usable(CALL)?;
        inner.at_rest(CALL, "not possible inside a callback; use stop() or exit()")?;
        let signals = inner
            .signals
            .borrow()
            .values()
            .filter_map(Weak::upgrade)
            .collect::<Vec<_>>();
        for signal in signals {
            signal.del()?;
        }
        inner.freed.set(true);
        drop(inner.kept.take());
        Ok(())
    }
}

impl PartialEq for EventBase {
    /// Whether both are the same base, as PHP's `===`.
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(self.inner(), other.inner())
    }
}

impl Eq for EventBase {}

impl Serialize for EventBase {
    /// `{}`, as PHP's `json_encode` gives.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_map(Some(0))?.end()
    }
}

/// libevent's form of a time, no longer than [`MAX_TIMEOUT`]; parts of a microsecond are cut.
pub(crate) fn timeval(time: Duration) -> ffi::timeval {
    let time = time.min(MAX_TIMEOUT);
    ffi::timeval {
        tv_sec: time.as_secs().cast_signed(),
        tv_usec: time.subsec_micros().into(),
    }
}
