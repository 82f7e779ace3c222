//! `EventConfig`: what a base should be like.
//!
//! Owns: one `event_config`. Lends C nothing, runs no user code.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use php_event_macros::php;

use crate::error::{Error, Result, c_text};
use crate::flags::{BaseFlags, EventFeatures};
use crate::log;
use crate::native::OwnedConfig;

/// What a base should be like, for [`EventBase::with_config`](crate::EventBase::with_config).
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
pub struct EventConfig(Rc<OwnedConfig>);

impl EventConfig {
    /// Makes a config that requires nothing.
    ///
    /// # Errors
    /// [`Error::Call`] when out of memory.
    ///
    /// # Examples
    /// ```
    /// let config = php_event::EventConfig::new()?;
    /// let base = php_event::EventBase::with_config(&config)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventConfig::__construct", c = "event_config_new")]
    pub fn new() -> Result<Self> {
        log::install();
        OwnedConfig::new(CALL).map(|config| Self(Rc::new(config)))
    }

    pub(crate) fn native(&self) -> &OwnedConfig {
        &self.0
    }

    /// Excludes a backend. An unknown name excludes nothing, and is not an error.
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
    #[php("EventConfig::avoidMethod", c = "event_config_avoid_method")]
    pub fn avoid_method(&self, method: &str) -> Result<()> {
        let name = c_text(CALL, "method name", method)?;
        self.0.avoid_method(CALL, &name)
    }

    /// Requires a backend with these features, instead of those required before. Whether the
    /// system has one shows when the base is made.
    ///
    /// # Errors
    /// None today; libevent's signature allows for them.
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
    #[php("EventConfig::requireFeatures", c = "event_config_require_features")]
    pub fn require_features(&self, features: EventFeatures) -> Result<()> {
        let call = CALL;
        self.0.require_features(call, features)
    }

    /// Adds flags to those that the base is made with.
    ///
    /// # Errors
    /// [`Error::Argument`] for [`BaseFlags::STARTUP_IOCP`], which is for Windows only.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventConfig;
    /// let config = EventConfig::new()?;
    /// config.set_flags(php_event::BaseFlags::NO_CACHE_TIME)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventConfig::setFlags",
        php_note = ", with the constants of `EventBase`",
        c = "event_config_set_flag"
    )]
    pub fn set_flags(&self, flags: BaseFlags) -> Result<()> {
        if flags.contains(BaseFlags::STARTUP_IOCP) {
            return Err(Error::argument(
                CALL,
                "STARTUP_IOCP is for Windows, which this library does not support",
            ));
        }
        let passed_on = BaseFlags::all() - BaseFlags::EPOLL_USE_CHANGELIST;
        self.0.set_flags(CALL, flags & passed_on)
    }

    /// Makes the loop look for new events after `max_interval` or `max_callbacks` callbacks,
    /// while it runs events of priority `min_priority` or a less urgent one. `None` sets no limit.
    ///
    /// # Errors
    /// None today; libevent's signature allows for them.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventConfig;
    /// # use std::time::Duration;
    /// let config = EventConfig::new()?;
    /// config.set_max_dispatch_interval(Some(Duration::from_millis(5)), Some(16), 1)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventConfig::setMaxDispatchInterval",
        php_note = ", where 0 seconds and −1 callbacks are none",
        c = "event_config_set_max_dispatch_interval"
    )]
    pub fn set_max_dispatch_interval(
        &self,
        max_interval: Option<Duration>,
        max_callbacks: Option<u32>,
        min_priority: i32,
    ) -> Result<()> {
        let callbacks = max_callbacks.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        self.0
            .set_max_dispatch_interval(CALL, max_interval, callbacks, min_priority)
    }
}

impl fmt::Debug for EventConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EventConfig").field(&self.0).finish()
    }
}
