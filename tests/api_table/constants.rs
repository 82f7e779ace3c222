//! The constants as the compiler sees them, each with its number.

use php_event::{
    BaseFlags, EolStyle, Event, EventBase, EventBuffer, EventConfig, EventFeatures, EventFlags,
    LoopFlags, PtrHow,
};

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

impl Number for EolStyle {
    fn number(self) -> i64 {
        i64::from(self as u32)
    }
}

impl Number for PtrHow {
    fn number(self) -> i64 {
        i64::from(self as u32)
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
        EventBuffer { EOL_ANY EOL_CRLF EOL_CRLF_STRICT EOL_LF EOL_NUL PTR_SET PTR_ADD }
        EventConfig { FEATURE_ET FEATURE_O1 FEATURE_FDS }
    }
}
