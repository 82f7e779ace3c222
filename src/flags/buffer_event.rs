//! The constants of `EventBufferEvent`.

use std::ffi::{c_int, c_short};

use crate::ffi;

/// How much [`EventBufferEvent::flush`](crate::EventBufferEvent::flush) moves, and why a filter is
/// called.
///
/// PHP has no such thing. libevent: `enum bufferevent_flush_mode`.
///
/// # Examples
/// ```
/// # use php_event::{BufferEventOptions, Event, EventBase, EventBufferEvent, FlushMode};
/// # let base = EventBase::new()?;
/// # let (bev, _peer) = EventBufferEvent::create_pair(&base, BufferEventOptions::empty())?;
/// bev.flush(Event::WRITE, FlushMode::Finished)?; // the peer reads the end
/// # Ok::<(), php_event::EventException>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "bufferevent_flush_mode")]
pub enum FlushMode {
    /// What is ready, as the loop does.
    Normal,
    /// As much as possible: a filter holds nothing back, for better compression for example.
    Flush,
    /// As `Flush`, and nothing will come after it.
    Finished,
}

impl FlushMode {
    pub(crate) fn to_c(self) -> ffi::bufferevent_flush_mode {
        match self {
            Self::Normal => ffi::bufferevent_flush_mode_BEV_NORMAL,
            Self::Flush => ffi::bufferevent_flush_mode_BEV_FLUSH,
            Self::Finished => ffi::bufferevent_flush_mode_BEV_FINISHED,
        }
    }

    pub(crate) fn from_c(mode: ffi::bufferevent_flush_mode) -> Self {
        match mode {
            ffi::bufferevent_flush_mode_BEV_FLUSH => Self::Flush,
            ffi::bufferevent_flush_mode_BEV_FINISHED => Self::Finished,
            _ => Self::Normal,
        }
    }
}

/// What a filter's closure did; see [`Filters`](crate::Filters).
///
/// PHP has no such thing. libevent: `enum bufferevent_filter_result`.
///
/// # Examples
/// ```
/// use php_event::{FilterResult, Filters};
///
/// let refusing = Filters::new().on_input(|_source, _destination, _limit, _mode| FilterResult::Error);
/// # drop(refusing);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "bufferevent_filter_result")]
pub enum FilterResult {
    /// It took bytes or added some. It is called again while bytes wait; if it took none, only
    /// when there are more, or on [`FlushMode::Flush`].
    Ok,
    /// It added nothing and waits for more bytes.
    NeedMore,
    /// The bytes are invalid. This direction is disabled, and the event callback gets
    /// `READING | ERROR` or `WRITING | ERROR`, as for a socket.
    Error,
}

impl FilterResult {
    pub(crate) fn to_c(self) -> ffi::bufferevent_filter_result {
        match self {
            Self::Ok => ffi::bufferevent_filter_result_BEV_OK,
            Self::NeedMore => ffi::bufferevent_filter_result_BEV_NEED_MORE,
            Self::Error => ffi::bufferevent_filter_result_BEV_ERROR,
        }
    }
}

bitflags::bitflags! {
    /// What happened to an [`EventBufferEvent`](crate::EventBufferEvent), for its event
    /// callback.
    ///
    /// `EOF`, `ERROR` and `TIMEOUT` come with a direction: the end of the input is
    /// `READING | EOF`, 17.
    ///
    /// PHP: the event constants of `EventBufferEvent`. libevent: `BEV_EVENT_…`.
    ///
    /// ```compile_fail,E0308
    /// // What happened is not what is waited for.
    /// use php_event::{Event, EventBufferEvent};
    /// let flags = EventBufferEvent::READING | Event::READ;
    /// ```
    /// ```
    /// use php_event::EventBufferEvent;
    /// let what = EventBufferEvent::READING | EventBufferEvent::EOF;
    /// assert!(what.intersects(EventBufferEvent::EOF | EventBufferEvent::ERROR));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct BufferEventFlags: c_short {
        /// It happened to the input.
        const READING = ffi::BEV_EVENT_READING as c_short;
        /// It happened to the output.
        const WRITING = ffi::BEV_EVENT_WRITING as c_short;
        /// The peer sends no more.
        const EOF = ffi::BEV_EVENT_EOF as c_short;
        /// A system call failed; its number is the last socket error.
        const ERROR = ffi::BEV_EVENT_ERROR as c_short;
        /// A timeout passed.
        const TIMEOUT = ffi::BEV_EVENT_TIMEOUT as c_short;
        /// The connection is established, with TLS after the handshake.
        const CONNECTED = ffi::BEV_EVENT_CONNECTED as c_short;
    }

    /// How an [`EventBufferEvent`](crate::EventBufferEvent) is made.
    ///
    /// PHP: the `OPT_` constants of `EventBufferEvent`. libevent: `enum bufferevent_options`.
    ///
    /// ```
    /// use php_event::{EventBase, EventBufferEvent};
    ///
    /// let base = EventBase::new()?;
    /// let deferred = EventBufferEvent::OPT_DEFER_CALLBACKS | EventBufferEvent::OPT_CLOSE_ON_FREE;
    /// let client = EventBufferEvent::unconnected(&base, deferred)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct BufferEventOptions: c_int {
        /// Free what it was made from when it is freed: a filter frees the buffer event under it.
        /// A socket is owned in any case, and closes with its last owner.
        const CLOSE_ON_FREE = ffi::bufferevent_options_BEV_OPT_CLOSE_ON_FREE as c_int;
        /// Locks. An object belongs to one thread here: constructors return `Err`.
        const THREADSAFE = ffi::bufferevent_options_BEV_OPT_THREADSAFE as c_int;
        /// Run the callbacks from the loop's queue, never in the middle of other work, with one
        /// call for all that happened meanwhile.
        const DEFER_CALLBACKS = ffi::bufferevent_options_BEV_OPT_DEFER_CALLBACKS as c_int;
        /// Run the callbacks without the lock; needs `DEFER_CALLBACKS`. It changes nothing here,
        /// where there are no locks.
        const UNLOCK_CALLBACKS = ffi::bufferevent_options_BEV_OPT_UNLOCK_CALLBACKS as c_int;
    }
}

/// Which side of a TLS connection an [`EventBufferEvent`](crate::EventBufferEvent) is, and its
/// state.
///
/// PHP: the constants `EventBufferEvent::SSL_…`, the same values.
/// libevent: `enum bufferevent_ssl_state`.
///
/// # Examples
/// ```
/// use php_event::{EventBufferEvent, SslState};
/// assert_eq!(EventBufferEvent::SSL_ACCEPTING, SslState::Accepting);
/// assert_eq!(EventBufferEvent::SSL_ACCEPTING as u32, 2);
/// ```
#[cfg(feature = "openssl")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
#[doc(alias = "bufferevent_ssl_state")]
pub enum SslState {
    /// The handshake is over. A constructor has no session for it, and returns `Err`.
    Open = ffi::bufferevent_ssl_state_BUFFEREVENT_SSL_OPEN,
    /// A client, which starts the handshake.
    Connecting = ffi::bufferevent_ssl_state_BUFFEREVENT_SSL_CONNECTING,
    /// A server, which waits for it.
    Accepting = ffi::bufferevent_ssl_state_BUFFEREVENT_SSL_ACCEPTING,
}

#[cfg(feature = "openssl")]
impl SslState {
    pub(crate) fn to_c(self) -> ffi::bufferevent_ssl_state {
        self as ffi::bufferevent_ssl_state
    }
}
