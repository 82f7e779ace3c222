//! The constants as the compiler sees them, each with its number.

use php_event::{BaseFlags, Event, EventBase, EventConfig, EventFeatures, EventFlags, LoopFlags};

/// The number that C and PHP know a constant by.
trait Number {
    fn number(self) -> i64;
}

impl Number for EventFlags {
    fn number(self) -> i64 {
        self.bits().into()
    }
}

impl Number for LoopFlags {
    fn number(self) -> i64 {
        self.bits().into()
    }
}

impl Number for BaseFlags {
    fn number(self) -> i64 {
        self.bits().into()
    }
}

impl Number for EventFeatures {
    fn number(self) -> i64 {
        self.bits().into()
    }
}

macro_rules! numbers {
    ($($class:ident { $($name:ident)+ })+) => {
        vec![$($((concat!(stringify!($class), "::", stringify!($name)), $class::$name.number())),+),+]
    };
}

/// Every constant of the classes under PHP's name.
pub(crate) fn numbers() -> Vec<(&'static str, i64)> {
    numbers! {
        Event { ET PERSIST READ WRITE SIGNAL TIMEOUT }
        EventBase {
            LOOP_ONCE LOOP_NONBLOCK NOLOCK STARTUP_IOCP NO_CACHE_TIME EPOLL_USE_CHANGELIST
            IGNORE_ENV PRECISE_TIMER
        }
        EventConfig { FEATURE_ET FEATURE_O1 FEATURE_FDS }
    }
}
