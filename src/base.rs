//! `EventBase`: the loop that events belong to.
//!
//! Owns: one `event_base`, freed with the last handle or event that counts on it; the
//! detached events and buffer events, which go with the last handle. Lends C nothing.
//! Runs user code: every callback of its events, from [`EventBase::loop`].

mod ending;
mod inner;
mod run;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use serde::ser::{Serialize, SerializeMap, Serializer};

pub(crate) use inner::{Added, Inherited, Inner, Remains, SignalEvent};
pub use run::LoopEnd;

use php_event_macros::php;

use crate::error::{Error, Result};
use crate::flags::EventFeatures;
pub use crate::native::MAX_TIMEOUT;
use crate::native::OwnedBase;
pub(crate) use crate::native::timeval;
use crate::runtime::watch_forks;
use crate::{EventConfig, log};

/// The most descriptors that libevent opens for a base: epoll, timer, signal pair. Without a
/// signal pair it ends the process, so we try for all of them first.
const DESCRIPTORS_OF_A_BASE: usize = 4;

/// A loop and the events that belong to it.
///
/// A handle is counted: a clone is the same base, as a PHP variable would be. Events count
/// on their base too, so the base is always freed last.
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

/// What the public handles share. Events count on [`Inner`] alone, so that a detached event,
/// which the base keeps, does not keep the base alive.
#[derive(Debug)]
struct Handle {
    inner: Rc<Inner>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.drop_kept();
    }
}

impl EventBase {
    /// Makes a base with the best backend of the system.
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
    #[php(
        "EventBase::__construct",
        php_note = " without a config",
        c = "event_base_new"
    )]
    pub fn new() -> Result<Self> {
        Self::make(None)
    }

    /// Makes a base from a config, which can be used again.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Call`] when no backend meets the config;
    /// [`Error::State`] when only `select` does, and the descriptors below 1,024 are in use.
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
    #[php(
        "EventBase::__construct",
        php_note = " with a config",
        c = "event_base_new_with_config"
    )]
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
        let room = room.map_err(|error| Error::io(CALL, error))?;
        let highest = room.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        drop(room);
        let native = OwnedBase::new(CALL, config.map(EventConfig::native))?;
        if native
            .descriptor_limit()
            .is_some_and(|limit| highest >= limit)
        {
            return Err(Error::State {
                call: CALL,
                reason: "the descriptors that select can watch are in use; allow the base epoll or poll",
            });
        }
        Ok(Self::of(&Rc::new(Inner::new(native))))
    }

    /// A public handle, for code that holds an [`Inner`]: another count of the present one, or
    /// a new one if all are gone.
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

    /// The backend's name: `epoll`, `poll` or `select` on Linux.
    ///
    /// # Examples
    /// ```
    /// let base = php_event::EventBase::new()?;
    /// println!("waits with {}", base.get_method());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventBase::getMethod", c = "event_base_get_method")]
    #[must_use]
    pub fn get_method(&self) -> &str {
        self.inner().native().method()
    }

    /// What the backend can do.
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
    #[php("EventBase::getFeatures", c = "event_base_get_features")]
    #[must_use]
    pub fn get_features(&self) -> EventFeatures {
        self.inner().native().features()
    }

    /// Sets the number of priorities, 1 to 255. 0 is the most urgent; a new event gets the
    /// middle one.
    ///
    /// # Errors
    /// [`Error::Argument`] outside of that range, or when an event of this base has or had a
    /// priority that would be gone; [`Error::State`] inside a callback, where PHP crashes, and while
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
    #[php("EventBase::priorityInit", c = "event_base_priority_init")]
    pub fn priority_init(&self, n_priorities: i32) -> Result<()> {
        let inner = self.inner();
        inner.usable(CALL)?;
        if !(1..=OwnedBase::PRIORITIES_MAX).contains(&n_priorities) {
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
        if !inner.native().set_priorities(n_priorities) {
            return Err(Error::State {
                call: CALL,
                reason: "events are active and have not run yet; run the loop first",
            });
        }
        if inner.events_of_c.get() {
            inner.note_priority(inner.middle_priority());
        }
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
