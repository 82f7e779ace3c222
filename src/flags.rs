//! The flag sets and closed choices of the classes, typed, so that those of one class cannot be
//! given to another.
//!
//! Knows `ffi` only. `constants` gives the values PHP's names.

mod buffer;
mod buffer_event;
mod dns;
mod family;
mod http;
mod listener;
mod util;

use std::ffi::{c_int, c_short};

pub use buffer::{EolStyle, PtrHow};
#[cfg(feature = "openssl")]
pub use buffer_event::SslState;
pub use buffer_event::{BufferEventFlags, BufferEventOptions, FilterResult, FlushMode};
pub use dns::{DnsFlags, DnsOptions};
pub use family::AddressFamily;
pub use http::{HeaderSide, HttpMethods};
pub use listener::ListenerFlags;
pub use util::{SocketLevel, SocketOption, SocketType};

use crate::ffi;

bitflags::bitflags! {
    /// What an [`Event`](crate::Event) waits for, and what it reports to its callback.
    ///
    /// PHP: the constants of `Event`; [`Event::READ`](crate::Event::READ) and the others are
    /// the same values.
    ///
    /// ```compile_fail,E0308
    /// // One class's flags are not another's.
    /// use php_event::{Event, EventBase};
    /// let flags = Event::READ | EventBase::LOOP_ONCE;
    /// ```
    /// ```
    /// use php_event::Event;
    /// let flags = Event::READ | Event::PERSIST;
    /// assert!(flags.contains(Event::READ));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EventFlags: c_short {
        /// The timeout given to [`Event::add`](crate::Event::add) has passed.
        const TIMEOUT = ffi::EV_TIMEOUT as c_short;
        /// The source can be read, or has reached its end.
        const READ = ffi::EV_READ as c_short;
        /// The source can be written.
        const WRITE = ffi::EV_WRITE as c_short;
        /// The signal arrived.
        const SIGNAL = ffi::EV_SIGNAL as c_short;
        /// The event stays pending after it fires.
        const PERSIST = ffi::EV_PERSIST as c_short;
        /// Edge-triggered: one call for each arrival, if the backend supports it.
        const ET = ffi::EV_ET as c_short;
        /// The peer has closed its side, which is reported without a read. Needs a backend with
        /// [`EventFeatures::EARLY_CLOSE`]: epoll or poll. PHP has no constant for it.
        const CLOSED = ffi::EV_CLOSED as c_short;
    }

    /// How [`EventBase::loop`](crate::EventBase::loop) runs.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, LoopFlags};
    /// assert_eq!(EventBase::LOOP_ONCE | EventBase::LOOP_NONBLOCK, LoopFlags::ONCE | LoopFlags::NONBLOCK);
    /// ```
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LoopFlags: c_int {
        /// Wait until an event is active, run all active events, and return.
        const ONCE = ffi::EVLOOP_ONCE as c_int;
        /// Never wait; return when a poll finds nothing active.
        const NONBLOCK = ffi::EVLOOP_NONBLOCK as c_int;
        /// Stay in the loop when nothing is pending. PHP has no constant for it.
        const NO_EXIT_ON_EMPTY = ffi::EVLOOP_NO_EXIT_ON_EMPTY as c_int;
    }

    /// How a base is made: for [`EventConfig::set_flags`](crate::EventConfig::set_flags).
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    /// let config = EventConfig::new()?;
    /// config.set_flags(EventBase::NO_CACHE_TIME | EventBase::PRECISE_TIMER)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct BaseFlags: u32 {
        /// Allocate no lock. It changes nothing here, where a base stays in one thread.
        const NOLOCK = ffi::event_base_config_flag_EVENT_BASE_FLAG_NOLOCK;
        /// Ignore the `EVENT_NO…` environment variables.
        const IGNORE_ENV = ffi::event_base_config_flag_EVENT_BASE_FLAG_IGNORE_ENV;
        /// Windows only: [`EventConfig::set_flags`](crate::EventConfig::set_flags) returns `Err`.
        const STARTUP_IOCP = ffi::event_base_config_flag_EVENT_BASE_FLAG_STARTUP_IOCP;
        /// Read the clock each time instead of once in each turn of the loop.
        const NO_CACHE_TIME = ffi::event_base_config_flag_EVENT_BASE_FLAG_NO_CACHE_TIME;
        /// Accepted, without effect. libevent would gather changes and tell epoll once a turn,
        /// but then a dropped event of a descriptor that has a duplicate, made by `try_clone`
        /// or a fork, outlives it and fires for the next file with its number. The environment
        /// variable `EVENT_EPOLL_USE_CHANGELIST` of libevent has that effect still.
        const EPOLL_USE_CHANGELIST = ffi::event_base_config_flag_EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST;
        /// Timers finer than a millisecond, at the cost of a system call.
        const PRECISE_TIMER = ffi::event_base_config_flag_EVENT_BASE_FLAG_PRECISE_TIMER;
    }

    /// What a backend can do.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    /// let config = EventConfig::new()?;
    /// config.require_features(EventConfig::FEATURE_FDS)?;
    /// let base = EventBase::with_config(&config)?;
    /// assert!(base.get_features().contains(EventConfig::FEATURE_FDS));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct EventFeatures: u32 {
        /// Edge-triggered events.
        const ET = ffi::event_method_feature_EV_FEATURE_ET;
        /// Adding, deleting and finding an active event take constant time.
        const O1 = ffi::event_method_feature_EV_FEATURE_O1;
        /// Any kind of descriptor, regular files too.
        const FDS = ffi::event_method_feature_EV_FEATURE_FDS;
        /// A peer's close is reported without a read. PHP has no constant for it.
        const EARLY_CLOSE = ffi::event_method_feature_EV_FEATURE_EARLY_CLOSE;
    }
}
