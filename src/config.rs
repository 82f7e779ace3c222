//! `EventConfig`: what a base should be like.
//!
//! Owns: one `event_config`. Lent to C: nothing. Runs no user code.
#![allow(unsafe_code)]

use std::rc::Rc;
use std::time::Duration;
use std::{fmt, ptr};

use crate::error::{Error, Result, c_text, cvt, cvt_p};
use crate::flags::{BaseFlags, EventFeatures};
use crate::{base, ffi, log};

/// What a base should be like; give it to [`EventBase::with_config`](crate::EventBase::with_config).
///
/// PHP: `EventConfig`. libevent: `struct event_config`.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventConfig};
///
/// let config = EventConfig::new()?;
/// config.avoid_method("epoll")?;
/// assert_eq!(EventBase::with_config(&config)?.get_method(), "poll");
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone)]
#[doc(alias = "event_config")]
pub struct EventConfig(Rc<Inner>);

struct Inner {
    raw: *mut ffi::event_config,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: made by `event_config_new`, freed only here; bases copy what they need.
        unsafe { ffi::event_config_free(self.raw) };
    }
}

impl EventConfig {
    /// Makes a config that asks for nothing.
    ///
    /// PHP: `EventConfig::__construct`. libevent: `event_config_new`.
    ///
    /// # Errors
    /// [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// let config = php_event::EventConfig::new()?;
    /// let base = php_event::EventBase::with_config(&config)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventConfig::__construct", alias = "event_config_new")]
    pub fn new() -> Result<Self> {
        log::install();
        // SAFETY: takes nothing from us.
        let raw = cvt_p("EventConfig::__construct", unsafe {
            ffi::event_config_new()
        })?;
        Ok(Self(Rc::new(Inner { raw })))
    }

    pub(crate) fn raw(&self) -> *const ffi::event_config {
        self.0.raw
    }

    /// Leaves a backend out. An unknown name is no error: it leaves nothing out.
    ///
    /// PHP: `EventConfig::avoidMethod`. libevent: `event_config_avoid_method`.
    ///
    /// # Errors
    /// [`Error::Argument`] when the name holds a NUL.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    ///
    /// let config = EventConfig::new()?;
    /// config.avoid_method("epoll")?;
    /// assert_ne!(EventBase::with_config(&config)?.get_method(), "epoll");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventConfig::avoidMethod",
        alias = "event_config_avoid_method"
    )]
    pub fn avoid_method(&self, method: &str) -> Result<()> {
        const CALL: &str = "EventConfig::avoidMethod";
        let name = c_text(CALL, "method name", method)?;
        // SAFETY: `self` holds the config; libevent copies the name.
        cvt(CALL, unsafe {
            ffi::event_config_avoid_method(self.0.raw, name.as_ptr())
        })
        .map(drop)
    }

    /// Asks for a backend with these features, in place of those asked for before. Whether
    /// there is one shows when the base is made.
    ///
    /// PHP: `EventConfig::requireFeatures`. libevent: `event_config_require_features`.
    ///
    /// # Errors
    /// None today; the signature leaves libevent the right.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    ///
    /// let config = EventConfig::new()?;
    /// config.require_features(EventConfig::FEATURE_FDS)?; // not with epoll
    /// println!("{}", EventBase::with_config(&config)?.get_method());
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventConfig::requireFeatures",
        alias = "event_config_require_features"
    )]
    pub fn require_features(&self, features: EventFeatures) -> Result<()> {
        const CALL: &str = "EventConfig::requireFeatures";
        // SAFETY: `self` holds the config.
        let rc = unsafe {
            ffi::event_config_require_features(self.0.raw, features.bits().cast_signed())
        };
        cvt(CALL, rc).map(drop)
    }

    /// Adds flags to those that the base will be made with.
    ///
    /// PHP: `EventConfig::setFlags`, with the constants of `EventBase`.
    /// libevent: `event_config_set_flag`.
    ///
    /// # Errors
    /// [`Error::Argument`] for [`BaseFlags::STARTUP_IOCP`], which only Windows has.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventConfig;
    /// let config = EventConfig::new()?;
    /// config.set_flags(php_event::BaseFlags::NO_CACHE_TIME)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventConfig::setFlags", alias = "event_config_set_flag")]
    pub fn set_flags(&self, flags: BaseFlags) -> Result<()> {
        const CALL: &str = "EventConfig::setFlags";
        if flags.contains(BaseFlags::STARTUP_IOCP) {
            return Err(Error::argument(
                CALL,
                "STARTUP_IOCP is for Windows, which this library does not support",
            ));
        }
        let bits = (flags & BaseFlags::all()).bits().cast_signed();
        // SAFETY: `self` holds the config.
        cvt(CALL, unsafe {
            ffi::event_config_set_flag(self.0.raw, bits)
        })
        .map(drop)
    }

    /// Makes the loop look for new events while it runs those of priority `min_priority` and
    /// less urgent ones: after `max_interval`, or `max_callbacks` callbacks. `None` sets no limit.
    ///
    /// PHP: `EventConfig::setMaxDispatchInterval`, where 0 seconds and −1 callbacks are none.
    /// libevent: `event_config_set_max_dispatch_interval`.
    ///
    /// # Errors
    /// None today; the signature leaves libevent the right.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventConfig;
    /// # use std::time::Duration;
    /// let config = EventConfig::new()?;
    /// config.set_max_dispatch_interval(Some(Duration::from_millis(5)), Some(16), 1)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(
        alias = "EventConfig::setMaxDispatchInterval",
        alias = "event_config_set_max_dispatch_interval"
    )]
    pub fn set_max_dispatch_interval(
        &self,
        max_interval: Option<Duration>,
        max_callbacks: Option<u32>,
        min_priority: i32,
    ) -> Result<()> {
        const CALL: &str = "EventConfig::setMaxDispatchInterval";
        let interval = max_interval.map(base::timeval);
        let interval = interval.as_ref().map_or(ptr::null(), ptr::from_ref);
        let callbacks = max_callbacks.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        // SAFETY: `self` holds the config; libevent copies the interval.
        let rc = unsafe {
            ffi::event_config_set_max_dispatch_interval(
                self.0.raw,
                interval,
                callbacks,
                min_priority,
            )
        };
        cvt(CALL, rc).map(drop)
    }
}

impl fmt::Debug for EventConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventConfig").field(&self.0.raw).finish()
    }
}
