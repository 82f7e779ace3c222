//! The constants as the compiler sees them, each with its number.

use php_event::{
    AddressFamily, BaseFlags, EolStyle, Event, EventBase, EventBuffer, EventConfig, EventFeatures,
    EventFlags, EventListener, EventUtil, ListenerFlags, LoopFlags, PtrHow, SocketLevel,
    SocketOption, SocketType,
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

impl Number for ListenerFlags {
    fn number(self) -> i64 {
        self.bits().into()
    }
}

impl Number for AddressFamily {
    fn number(self) -> i64 {
        Self::number(self).into()
    }
}

impl Number for SocketLevel {
    fn number(self) -> i64 {
        Self::number(self).into()
    }
}

impl Number for SocketOption {
    fn number(self) -> i64 {
        Self::number(self).into()
    }
}

impl Number for SocketType {
    fn number(self) -> i64 {
        Self::number(self).into()
    }
}

impl Number for u32 {
    fn number(self) -> i64 {
        self.into()
    }
}

macro_rules! numbers {
    ($($class:ident { $($name:ident)+ })+) => {
        vec![$($((concat!(stringify!($class), "::", stringify!($name)), Number::number($class::$name))),+),+]
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
        EventListener {
            OPT_LEAVE_SOCKETS_BLOCKING OPT_CLOSE_ON_FREE OPT_CLOSE_ON_EXEC OPT_REUSEABLE
            OPT_THREADSAFE OPT_DISABLED OPT_DEFERRED_ACCEPT
        }
        EventUtil {
            AF_INET AF_INET6 AF_UNIX AF_UNSPEC SO_DEBUG SO_REUSEADDR SO_KEEPALIVE SO_DONTROUTE
            SO_LINGER SO_BROADCAST SO_OOBINLINE SO_SNDBUF SO_RCVBUF SO_SNDLOWAT SO_RCVLOWAT
            SO_SNDTIMEO SO_RCVTIMEO SO_TYPE SO_ERROR TCP_NODELAY SOL_SOCKET SOL_TCP SOL_UDP
            SOCK_RAW IPPROTO_IP IPPROTO_IPV6 LIBEVENT_VERSION_NUMBER
        }
    }
}
