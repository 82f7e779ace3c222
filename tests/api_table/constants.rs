//! The constants as the compiler sees them, each with its number.
#![cfg(feature = "openssl")] // without it some are not there

use php_event::{
    AddressFamily, BaseFlags, BufferEventFlags, BufferEventOptions, DnsFlags, DnsOptions, EolStyle,
    Event, EventBase, EventBuffer, EventBufferEvent, EventConfig, EventDnsBase, EventFeatures,
    EventFlags, EventHttpRequest, EventListener, EventSslContext, EventUtil, HeaderSide,
    HttpMethods, ListenerFlags, LoopFlags, PtrHow, SocketLevel, SocketOption, SocketType,
    SslMethod, SslOption, SslState, SslVersion,
};

/// The number that C and PHP know a constant by.
trait Number {
    fn number(self) -> i64;
}

/// How a kind of constants tells its numbers.
macro_rules! told {
    ($($type:ident)+ => |$value:ident| $number:expr) => {$(
        impl Number for $type {
            fn number(self) -> i64 {
                let $value = self;
                $number
            }
        }
    )+};
}

told! {
    EventFlags LoopFlags BaseFlags EventFeatures ListenerFlags BufferEventFlags BufferEventOptions
    DnsFlags DnsOptions HttpMethods => |flags| flags.bits().into()
}

told! { EolStyle PtrHow SslState HeaderSide => |choice| i64::from(choice as u32) }

told! {
    AddressFamily SocketLevel SocketOption SocketType SslMethod SslOption SslVersion
    => |value| value.number().into()
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
#[allow(deprecated, reason = "PHP has them")]
pub(crate) fn numbers() -> Vec<(&'static str, i64)> {
    numbers! {
        Event { ET PERSIST READ WRITE SIGNAL TIMEOUT }
        EventBase {
            LOOP_ONCE LOOP_NONBLOCK NOLOCK STARTUP_IOCP NO_CACHE_TIME EPOLL_USE_CHANGELIST
            IGNORE_ENV PRECISE_TIMER
        }
        EventBufferEvent {
            READING WRITING EOF ERROR TIMEOUT CONNECTED OPT_CLOSE_ON_FREE OPT_THREADSAFE
            OPT_DEFER_CALLBACKS OPT_UNLOCK_CALLBACKS SSL_OPEN SSL_CONNECTING SSL_ACCEPTING
        }
        EventBuffer { EOL_ANY EOL_CRLF EOL_CRLF_STRICT EOL_LF EOL_NUL PTR_SET PTR_ADD }
        EventConfig { FEATURE_ET FEATURE_O1 FEATURE_FDS }
        EventDnsBase {
            OPTION_SEARCH OPTION_NAMESERVERS OPTION_MISC OPTION_HOSTSFILE OPTIONS_ALL
            INITIALIZE_NAMESERVERS DISABLE_WHEN_INACTIVE NAMESERVERS_NO_DEFAULT
        }
        EventHttpRequest {
            CMD_GET CMD_POST CMD_HEAD CMD_PUT CMD_DELETE CMD_OPTIONS CMD_TRACE CMD_CONNECT
            CMD_PATCH INPUT_HEADER OUTPUT_HEADER
        }
        EventListener {
            OPT_LEAVE_SOCKETS_BLOCKING OPT_CLOSE_ON_FREE OPT_CLOSE_ON_EXEC OPT_REUSEABLE
            OPT_THREADSAFE OPT_DISABLED OPT_DEFERRED_ACCEPT
        }
        EventSslContext {
            TLS_CLIENT_METHOD TLS_SERVER_METHOD TLSv11_CLIENT_METHOD TLSv11_SERVER_METHOD
            TLSv12_CLIENT_METHOD TLSv12_SERVER_METHOD OPT_LOCAL_CERT OPT_LOCAL_PK OPT_PASSPHRASE
            OPT_CA_FILE OPT_CA_PATH OPT_ALLOW_SELF_SIGNED OPT_VERIFY_PEER OPT_VERIFY_DEPTH
            OPT_CIPHERS OPT_NO_SSLv2 OPT_NO_SSLv3 OPT_NO_TLSv1 OPT_NO_TLSv1_1 OPT_NO_TLSv1_2
            OPT_CIPHER_SERVER_PREFERENCE OPT_REQUIRE_CLIENT_CERT OPT_VERIFY_CLIENT_ONCE
            SSL3_VERSION TLS1_VERSION TLS1_1_VERSION TLS1_2_VERSION DTLS1_VERSION DTLS1_2_VERSION
        }
        EventUtil {
            AF_INET AF_INET6 AF_UNIX AF_UNSPEC SO_DEBUG SO_REUSEADDR SO_KEEPALIVE SO_DONTROUTE
            SO_LINGER SO_BROADCAST SO_OOBINLINE SO_SNDBUF SO_RCVBUF SO_SNDLOWAT SO_RCVLOWAT
            SO_SNDTIMEO SO_RCVTIMEO SO_TYPE SO_ERROR TCP_NODELAY SOL_SOCKET SOL_TCP SOL_UDP
            SOCK_RAW IPPROTO_IP IPPROTO_IPV6 LIBEVENT_VERSION_NUMBER
        }
    }
}
