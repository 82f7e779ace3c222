//! `EventUtil`: functions for the options, names and errors of sockets.
//!
//! Owns, lends to C: nothing. Runs user code: the `AsFd` of the sockets it is given.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;

use php_event_macros::php;

use crate::address::SocketName;
use crate::error::{Error, Result};
use crate::flags::{SocketLevel, SocketOption};
use crate::native::evutil;
#[cfg(feature = "openssl")]
use crate::native::random;
use crate::native::socket::{OptionValue, set_option};
use crate::stream::Stream;
use crate::{base, ffi};

/// Functions for sockets. The type has no values.
///
/// PHP: `EventUtil`, whose constructor is private. libevent: the functions `evutil_*`.
///
/// # Examples
/// ```
/// use php_event::EventUtil;
/// use php_event::stream::{StreamContext, stream_socket_server};
///
/// let server = stream_socket_server("tcp://127.0.0.1:0", &StreamContext::default())?;
/// EventUtil::set_socket_option(&server, EventUtil::SOL_SOCKET, EventUtil::SO_RCVBUF, 65_536)?;
/// println!("listening on {}", EventUtil::get_socket_name(&server)?);
/// # Ok::<(), php_event::EventException>(())
/// ```
///
/// There is no constructor:
/// ```compile_fail,E0423
/// let util = php_event::EventUtil;
/// ```
/// ```compile_fail,E0599
/// let util = php_event::EventUtil::new();
/// ```
/// ```
/// let version = php_event::EventUtil::LIBEVENT_VERSION_NUMBER;
/// ```
#[doc(alias = "EventUtil::__construct", alias = "evutil")]
#[derive(Clone, Copy, Debug)]
pub enum EventUtil {}

/// What [`EventUtil::set_socket_option`] sets an option to.
///
/// # Examples
/// ```
/// use php_event::SocketOptionValue;
/// use std::time::Duration;
///
/// assert_eq!(SocketOptionValue::from(true), SocketOptionValue::Int(1));
/// let second = Duration::from_secs(1);
/// assert_eq!(SocketOptionValue::from(second), SocketOptionValue::Timeout(second));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketOptionValue {
    /// A number, or 0 and 1 for off and on: what most options take.
    Int(i32),
    /// For `SO_LINGER`: how long a close waits for unsent data, in whole seconds, rounded up.
    /// Zero resets the connection; `None` closes in the background.
    ///
    /// PHP: an array of `l_onoff` and `l_linger`.
    Linger(Option<Duration>),
    /// For `SO_RCVTIMEO` and `SO_SNDTIMEO`, in microseconds, rounded up; zero is no limit.
    ///
    /// PHP: an array of `sec` and `usec`.
    Timeout(Duration),
}

impl From<i32> for SocketOptionValue {
    fn from(number: i32) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for SocketOptionValue {
    /// 1 or 0.
    fn from(on: bool) -> Self {
        Self::Int(on.into())
    }
}

impl From<Duration> for SocketOptionValue {
    /// A timeout.
    fn from(time: Duration) -> Self {
        Self::Timeout(time)
    }
}

impl EventUtil {
    /// The libevent version that the bindings were made for: `0x02010c00` is 2.1.12.
    ///
    /// PHP: `EventUtil::LIBEVENT_VERSION_NUMBER`. libevent: `LIBEVENT_VERSION_NUMBER`. The
    /// running library is this version or a later 2.1: see
    /// [`libevent_version_number`](Self::libevent_version_number).
    #[doc(alias = "EventUtil::LIBEVENT_VERSION_NUMBER")]
    pub const LIBEVENT_VERSION_NUMBER: u32 = ffi::LIBEVENT_VERSION_NUMBER;

    /// The version of the running libevent, in the form of
    /// [`LIBEVENT_VERSION_NUMBER`](Self::LIBEVENT_VERSION_NUMBER).
    ///
    /// # Examples
    /// ```
    /// use php_event::EventUtil;
    /// assert!(EventUtil::libevent_version_number() >= EventUtil::LIBEVENT_VERSION_NUMBER);
    /// ```
    #[php(c = "event_get_version_number")]
    #[must_use]
    pub fn libevent_version_number() -> u32 {
        evutil::version_number()
    }

    /// The thread's `errno`: the number of the last system call's error, or 0.
    ///
    /// Read it in the first line of an error closure, such as
    /// [`EventListener::set_error_callback`](crate::EventListener::set_error_callback)'s or a
    /// buffer event's: any call before may change it. Methods that return `Err` name the cause
    /// there.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventUtil;
    /// std::fs::File::open("/nonesuch").unwrap_err();
    /// assert_eq!(EventUtil::get_last_socket_errno(), libc::ENOENT);
    /// ```
    #[php(
        "EventUtil::getLastSocketErrno",
        php_note = ", whose argument has no effect on Unix",
        c = "EVUTIL_SOCKET_ERROR"
    )]
    #[must_use]
    pub fn get_last_socket_errno() -> i32 {
        Errno::last_raw()
    }

    /// The text of [`get_last_socket_errno`](Self::get_last_socket_errno): `Success` for 0.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventUtil;
    /// std::fs::File::open("/nonesuch").unwrap_err();
    /// assert_eq!(EventUtil::get_last_socket_error(), "No such file or directory");
    /// ```
    #[php(
        "EventUtil::getLastSocketError",
        php_note = ", whose argument has no effect on Unix",
        c = "evutil_socket_error_to_string"
    )]
    #[must_use]
    pub fn get_last_socket_error() -> String {
        let number = Self::get_last_socket_errno();
        let text = io::Error::from_raw_os_error(number).to_string();
        let suffix = format!(" (os error {number})");
        text.strip_suffix(&suffix).unwrap_or(&text).to_owned()
    }

    /// The number of a socket's descriptor, for a log or for another library.
    ///
    /// libevent: none.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventUtil, stream::stream_socket_pair};
    /// let (one, other) = stream_socket_pair()?;
    /// assert_ne!(EventUtil::get_socket_fd(&one), EventUtil::get_socket_fd(&other));
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventUtil::getSocketFd")]
    #[must_use]
    pub fn get_socket_fd(socket: &impl AsFd) -> RawFd {
        socket.as_fd().as_raw_fd()
    }

    /// The address that a socket is bound to.
    ///
    /// libevent: none; the system's `getsockname`.
    ///
    /// # Errors
    /// [`Error::Io`] when the descriptor is not a socket; [`Error::Argument`] when the socket's
    /// family has neither an address nor a path.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventUtil, SocketName};
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// assert_eq!(EventUtil::get_socket_name(&socket)?, SocketName::Ip(socket.local_addr()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php(
        "EventUtil::getSocketName",
        php_note = ", which never fills `$address` and `$port`"
    )]
    #[doc(alias = "getsockname")]
    pub fn get_socket_name(socket: &impl AsFd) -> Result<SocketName> {
        SocketName::of(CALL, socket)
    }

    /// Sets an option of a socket.
    ///
    /// Timeouts apply to descriptors that block. A [`Stream`]'s never do; see
    /// [`stream_set_timeout`](crate::stream::stream_set_timeout).
    ///
    /// libevent: none; the system's `setsockopt`. Unlike PHP, which takes option number 13 of any
    /// level for `SO_LINGER`, it checks the level, too, and refuses a value of the wrong kind
    /// instead of converting it.
    ///
    /// # Errors
    /// [`Error::Argument`] for a value of a kind that the option does not take; [`Error::Io`] when
    /// the system refuses.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventUtil, SocketOptionValue};
    /// use std::time::Duration;
    ///
    /// let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// EventUtil::set_socket_option(&socket, EventUtil::SOL_TCP, EventUtil::TCP_NODELAY, true)?;
    /// let second = Duration::from_secs(1);
    /// EventUtil::set_socket_option(&socket, EventUtil::SOL_SOCKET, EventUtil::SO_RCVTIMEO, second)?;
    /// let linger = SocketOptionValue::Linger(Some(second));
    /// EventUtil::set_socket_option(&socket, EventUtil::SOL_SOCKET, EventUtil::SO_LINGER, linger)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[php("EventUtil::setSocketOption")]
    #[doc(alias = "setsockopt")]
    pub fn set_socket_option(
        socket: &impl AsFd,
        level: SocketLevel,
        option: SocketOption,
        value: impl Into<SocketOptionValue>,
    ) -> Result<()> {
        let value = match (Kind::of(level, option), value.into()) {
            (Kind::Int, SocketOptionValue::Int(number)) => OptionValue::Int(number),
            (Kind::Linger, SocketOptionValue::Linger(time)) => OptionValue::Linger(linger(time)),
            (Kind::Timeout, SocketOptionValue::Timeout(time)) => {
                OptionValue::Timeout(timeout(time))
            }
            (kind, value) => {
                let reason = format!("{value:?} given; the option takes {kind:?}");
                return Err(Error::argument(CALL, reason));
            }
        };
        let set = set_option(socket.as_fd(), level.number(), option.number(), &value);
        set.map_err(|error| Error::io(CALL, error))
    }

    /// Makes a stream of a socket's descriptor, which it then owns.
    ///
    /// The descriptor is made non-blocking. The stream blocks, as PHP's sockets do, until
    /// [`stream_set_blocking`](crate::stream::stream_set_blocking) says otherwise.
    ///
    /// libevent: none.
    ///
    /// # Errors
    /// [`Error::Io`] when the descriptor is not a socket; it is then closed.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventUtil;
    /// use php_event::stream::{fread, fwrite};
    ///
    /// let (one, other) = std::os::unix::net::UnixStream::pair()?;
    /// let (one, other) = (EventUtil::create_socket(one.into())?, EventUtil::create_socket(other.into())?);
    /// fwrite(&one, "hello")?;
    /// assert_eq!(fread(&other, 100)?, b"hello");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    /// A number is not enough, since something else owns it:
    /// ```compile_fail,E0308
    /// use php_event::EventUtil;
    /// let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    /// EventUtil::create_socket(EventUtil::get_socket_fd(&one));
    /// ```
    /// ```
    /// use php_event::EventUtil;
    /// let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    /// EventUtil::create_socket(one.into());
    /// ```
    #[php(
        "EventUtil::createSocket",
        php_note = ", which takes a number that another stream may own, and warns if it is no socket"
    )]
    pub fn create_socket(fd: OwnedFd) -> Result<Stream> {
        Stream::own(fd).map_err(|error| Error::io(CALL, error))
    }

    /// Has OpenSSL take fresh random bytes from the system. OpenSSL does so by itself when it
    /// needs to.
    ///
    /// OpenSSL: `RAND_poll`. Only with the feature `openssl`.
    ///
    /// # Errors
    /// [`Error::Call`] with OpenSSL's message when the system has none.
    ///
    /// # Examples
    /// ```
    /// php_event::EventUtil::ssl_rand_poll()?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventUtil::sslRandPoll")]
    #[doc(alias = "RAND_poll")]
    #[cfg(feature = "openssl")]
    pub fn ssl_rand_poll() -> Result<()> {
        if random::poll_openssl() {
            return Ok(());
        }
        Err(Error::Call {
            call: CALL,
            cause: Some(openssl::error::ErrorStack::get().to_string().into()),
        })
    }
}

/// Which kind of value an option takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Int,
    Linger,
    Timeout,
}

impl Kind {
    fn of(level: SocketLevel, option: SocketOption) -> Self {
        match option {
            _ if level != SocketLevel::SOCKET => Self::Int,
            SocketOption::LINGER => Self::Linger,
            SocketOption::RCVTIMEO | SocketOption::SNDTIMEO => Self::Timeout,
            _ => Self::Int,
        }
    }
}

fn linger(time: Option<Duration>) -> libc::linger {
    let seconds = time.map_or(0, |time| time.as_nanos().div_ceil(1_000_000_000));
    libc::linger {
        l_onoff: time.is_some().into(),
        l_linger: c_int::try_from(seconds).unwrap_or(c_int::MAX),
    }
}

/// The timeout for the system, in microseconds, rounded up: zero would mean none.
fn timeout(time: Duration) -> libc::timeval {
    let whole = time.as_nanos().is_multiple_of(1_000);
    let time = if whole {
        time
    } else {
        time.saturating_add(Duration::from_micros(1))
    };
    let time = base::timeval(time);
    libc::timeval {
        tv_sec: time.tv_sec,
        tv_usec: time.tv_usec,
    }
}
