//! PHP's constants of each class: the values of `flags` under PHP's names.
//!
//! They stand here, above the classes, because `flags` knows no class.

#[cfg(feature = "openssl")]
use crate::flags::SslState;
use crate::flags::{
    AddressFamily, BaseFlags, BufferEventFlags, BufferEventOptions, DnsFlags, DnsOptions, EolStyle,
    EventFeatures, EventFlags, HeaderSide, HttpMethods, ListenerFlags, LoopFlags, PtrHow,
    SocketLevel, SocketOption, SocketType,
};
use crate::{
    Event, EventBase, EventBuffer, EventBufferEvent, EventConfig, EventDnsBase, EventHttpRequest,
    EventListener, EventUtil,
};

/// Gives a class its PHP constants, typed; the text is the C name, where there is one.
macro_rules! class_consts {
    ($class:ident: $flags:ident { $($php:ident = $flag:ident $($c:literal)?),+ $(,)? }) => {
        impl $class {$(
            #[doc = concat!("PHP: `", stringify!($class), "::", stringify!($php), "`.", $(" libevent: `", $c, "`.")?)]
            #[doc = concat!("See [`", stringify!($flags), "::", stringify!($flag), "`].")]
            $(#[doc(alias = $c)])?
            pub const $php: $flags = $flags::$flag;
        )+}
    };
}

class_consts!(Event: EventFlags {
    TIMEOUT = TIMEOUT "EV_TIMEOUT",
    READ = READ "EV_READ",
    WRITE = WRITE "EV_WRITE",
    SIGNAL = SIGNAL "EV_SIGNAL",
    PERSIST = PERSIST "EV_PERSIST",
    ET = ET "EV_ET",
});

impl Event {
    /// The peer has closed its side, which is reported without a read: see
    /// [`EventFlags::CLOSED`]. So a server that works on a request learns that the client has
    /// gone, without taking bytes that it does not want yet.
    ///
    /// Beyond PHP. libevent: `EV_CLOSED`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{Event, EventBase};
    /// use std::os::unix::net::UnixStream;
    ///
    /// let base = EventBase::new()?;
    /// let (client, server) = UnixStream::pair()?;
    /// let gone = Event::new(&base, server, Event::CLOSED, |_server, what, _event| {
    ///     assert_eq!(what, Event::CLOSED);
    /// })?;
    /// gone.add(None)?;
    /// drop(client);
    /// base.dispatch()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[doc(alias = "EV_CLOSED")]
    pub const CLOSED: EventFlags = EventFlags::CLOSED;
}

class_consts!(EventBase: LoopFlags {
    LOOP_ONCE = ONCE "EVLOOP_ONCE",
    LOOP_NONBLOCK = NONBLOCK "EVLOOP_NONBLOCK",
});
class_consts!(EventBase: BaseFlags {
    NOLOCK = NOLOCK "EVENT_BASE_FLAG_NOLOCK",
    IGNORE_ENV = IGNORE_ENV "EVENT_BASE_FLAG_IGNORE_ENV",
    STARTUP_IOCP = STARTUP_IOCP "EVENT_BASE_FLAG_STARTUP_IOCP",
    NO_CACHE_TIME = NO_CACHE_TIME "EVENT_BASE_FLAG_NO_CACHE_TIME",
    EPOLL_USE_CHANGELIST = EPOLL_USE_CHANGELIST "EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST",
    PRECISE_TIMER = PRECISE_TIMER "EVENT_BASE_FLAG_PRECISE_TIMER",
});
class_consts!(EventConfig: EventFeatures {
    FEATURE_ET = ET "EV_FEATURE_ET",
    FEATURE_O1 = O1 "EV_FEATURE_O1",
    FEATURE_FDS = FDS "EV_FEATURE_FDS",
});
class_consts!(EventListener: ListenerFlags {
    OPT_LEAVE_SOCKETS_BLOCKING = LEAVE_SOCKETS_BLOCKING "LEV_OPT_LEAVE_SOCKETS_BLOCKING",
    OPT_CLOSE_ON_FREE = CLOSE_ON_FREE "LEV_OPT_CLOSE_ON_FREE",
    OPT_CLOSE_ON_EXEC = CLOSE_ON_EXEC "LEV_OPT_CLOSE_ON_EXEC",
    OPT_REUSEABLE = REUSEABLE "LEV_OPT_REUSEABLE",
    OPT_THREADSAFE = THREADSAFE "LEV_OPT_THREADSAFE",
    OPT_DISABLED = DISABLED "LEV_OPT_DISABLED",
    OPT_DEFERRED_ACCEPT = DEFERRED_ACCEPT "LEV_OPT_DEFERRED_ACCEPT",
});
class_consts!(EventBuffer: EolStyle {
    EOL_ANY = Any "EVBUFFER_EOL_ANY",
    EOL_CRLF = Crlf "EVBUFFER_EOL_CRLF",
    EOL_CRLF_STRICT = CrlfStrict "EVBUFFER_EOL_CRLF_STRICT",
    EOL_LF = Lf "EVBUFFER_EOL_LF",
    EOL_NUL = Nul "EVBUFFER_EOL_NUL",
});
class_consts!(EventBuffer: PtrHow {
    PTR_SET = Set "EVBUFFER_PTR_SET",
    PTR_ADD = Add "EVBUFFER_PTR_ADD",
});
class_consts!(EventBufferEvent: BufferEventFlags {
    READING = READING "BEV_EVENT_READING",
    WRITING = WRITING "BEV_EVENT_WRITING",
    EOF = EOF "BEV_EVENT_EOF",
    ERROR = ERROR "BEV_EVENT_ERROR",
    TIMEOUT = TIMEOUT "BEV_EVENT_TIMEOUT",
    CONNECTED = CONNECTED "BEV_EVENT_CONNECTED",
});
class_consts!(EventBufferEvent: BufferEventOptions {
    OPT_CLOSE_ON_FREE = CLOSE_ON_FREE "BEV_OPT_CLOSE_ON_FREE",
    OPT_THREADSAFE = THREADSAFE "BEV_OPT_THREADSAFE",
    OPT_DEFER_CALLBACKS = DEFER_CALLBACKS "BEV_OPT_DEFER_CALLBACKS",
    OPT_UNLOCK_CALLBACKS = UNLOCK_CALLBACKS "BEV_OPT_UNLOCK_CALLBACKS",
});
#[cfg(feature = "openssl")]
class_consts!(EventBufferEvent: SslState {
    SSL_OPEN = Open "BUFFEREVENT_SSL_OPEN",
    SSL_CONNECTING = Connecting "BUFFEREVENT_SSL_CONNECTING",
    SSL_ACCEPTING = Accepting "BUFFEREVENT_SSL_ACCEPTING",
});
class_consts!(EventDnsBase: DnsFlags {
    INITIALIZE_NAMESERVERS = INITIALIZE_NAMESERVERS "EVDNS_BASE_INITIALIZE_NAMESERVERS",
    DISABLE_WHEN_INACTIVE = DISABLE_WHEN_INACTIVE "EVDNS_BASE_DISABLE_WHEN_INACTIVE",
    NAMESERVERS_NO_DEFAULT = NAMESERVERS_NO_DEFAULT "EVDNS_BASE_NAMESERVERS_NO_DEFAULT",
});
class_consts!(EventDnsBase: DnsOptions {
    OPTION_SEARCH = SEARCH "DNS_OPTION_SEARCH",
    OPTION_NAMESERVERS = NAMESERVERS "DNS_OPTION_NAMESERVERS",
    OPTION_MISC = MISC "DNS_OPTION_MISC",
    OPTION_HOSTSFILE = HOSTSFILE "DNS_OPTION_HOSTSFILE",
    OPTIONS_ALL = ALL "DNS_OPTIONS_ALL",
});
class_consts!(EventHttpRequest: HttpMethods {
    CMD_GET = GET "EVHTTP_REQ_GET",
    CMD_POST = POST "EVHTTP_REQ_POST",
    CMD_HEAD = HEAD "EVHTTP_REQ_HEAD",
    CMD_PUT = PUT "EVHTTP_REQ_PUT",
    CMD_DELETE = DELETE "EVHTTP_REQ_DELETE",
    CMD_OPTIONS = OPTIONS "EVHTTP_REQ_OPTIONS",
    CMD_TRACE = TRACE "EVHTTP_REQ_TRACE",
    CMD_CONNECT = CONNECT "EVHTTP_REQ_CONNECT",
    CMD_PATCH = PATCH "EVHTTP_REQ_PATCH",
});

impl EventHttpRequest {
    /// PHP: `EventHttpRequest::INPUT_HEADER`. See [`HeaderSide::Input`].
    pub const INPUT_HEADER: HeaderSide = HeaderSide::Input;
    /// PHP: `EventHttpRequest::OUTPUT_HEADER`. See [`HeaderSide::Output`].
    pub const OUTPUT_HEADER: HeaderSide = HeaderSide::Output;
}
class_consts!(EventUtil: AddressFamily {
    AF_INET = INET,
    AF_INET6 = INET6,
    AF_UNIX = UNIX,
    AF_UNSPEC = UNSPEC,
});
class_consts!(EventUtil: SocketOption {
    SO_DEBUG = DEBUG,
    SO_REUSEADDR = REUSEADDR,
    SO_KEEPALIVE = KEEPALIVE,
    SO_DONTROUTE = DONTROUTE,
    SO_LINGER = LINGER,
    SO_BROADCAST = BROADCAST,
    SO_OOBINLINE = OOBINLINE,
    SO_SNDBUF = SNDBUF,
    SO_RCVBUF = RCVBUF,
    SO_SNDLOWAT = SNDLOWAT,
    SO_RCVLOWAT = RCVLOWAT,
    SO_SNDTIMEO = SNDTIMEO,
    SO_RCVTIMEO = RCVTIMEO,
    SO_TYPE = TYPE,
    SO_ERROR = ERROR,
    TCP_NODELAY = NODELAY,
});
class_consts!(EventUtil: SocketLevel {
    SOL_SOCKET = SOCKET,
    SOL_TCP = TCP,
    SOL_UDP = UDP,
    IPPROTO_IP = IP,
    IPPROTO_IPV6 = IPV6,
});
class_consts!(EventUtil: SocketType {
    SOCK_RAW = RAW,
});
