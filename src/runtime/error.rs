//! [`Error`]: what every fallible call of the library returns, PHP's `EventException`.
//!
//! Runs no user code.

use std::borrow::Cow;
use std::ffi::CString;
use std::ptr::NonNull;
use std::{fmt, io};

use super::log;

/// What the library's calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed: it names the call, the cause, and the remedy where there is one.
///
/// `Debug` reads as `Display`, so that `fn main() -> Result<()>` prints a sentence.
///
/// PHP: `EventException`, and the warnings, plain `Exception`s and fatal errors of the
/// extension, which are all values here.
///
/// # Examples
/// ```
/// use php_event::{Event, EventBase};
///
/// let base = EventBase::new()?;
/// let error = Event::signal(&base, 9, |_signum, _event| {}).unwrap_err();
/// assert_eq!(error.call(), "Event::signal");
/// assert!(error.to_string().contains("SIGKILL"));
/// # Ok::<(), php_event::EventException>(())
/// ```
#[doc(alias = "EventException")]
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A function of libevent or OpenSSL reported failure.
    #[error("{call} failed{}", Because(cause.as_deref()))]
    Call {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
        /// The library's message about the cause, if it gave one.
        cause: Option<Box<str>>,
    },
    /// A system call failed.
    #[error("{call}: {source}")]
    Io {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// An argument that C would abort on, ignore or misread.
    #[error("{call}: {reason}")]
    Argument {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
        /// What is wrong with which value, and what to give instead.
        reason: Cow<'static, str>,
    },
    /// The object's present state does not allow the call.
    #[error("{call}: {reason}")]
    State {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
        /// What the state is, and what to do first.
        reason: &'static str,
    },
    /// The object was freed, or the stream closed, before the call.
    #[error("{call}: {}", Ended(object))]
    Freed {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
        /// `event`, `base`, `stream`, `buffer event`, `listener`, `request`, `connection`, …
        object: &'static str,
    },
    /// The base was made before a fork, and this is the child.
    #[error("{call}: {FORKED}")]
    Forked {
        /// The name of the call, see [`Error::call`].
        call: &'static str,
    },
}

const FORKED: &str = "the base was made before a fork; in the child call re_init() on it first";

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    pub(crate) fn io(call: &'static str, source: impl Into<io::Error>) -> Self {
        Self::Io {
            call,
            source: source.into(),
        }
    }

    pub(crate) fn argument(call: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Argument {
            call,
            reason: reason.into(),
        }
    }

    /// The name of the call that failed: `Event::add`. It is PHP's, as `Event::addTimer`;
    /// what PHP lacks has its name here, as `Event::active` or `Waker::wake`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// base.free()?;
    /// assert_eq!(base.stop().unwrap_err().call(), "EventBase::stop");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn call(&self) -> &'static str {
        match self {
            Self::Call { call, .. }
            | Self::Io { call, .. }
            | Self::Argument { call, .. }
            | Self::State { call, .. }
            | Self::Freed { call, .. }
            | Self::Forked { call } => call,
        }
    }

    /// The message without the name of the call: `the event was already freed`.
    ///
    /// For embedders: a binding for another language raises its own kind of error, which
    /// names the call itself.
    ///
    /// # Examples
    /// ```
    /// # use php_event::EventBase;
    /// let base = EventBase::new()?;
    /// base.free()?;
    /// let error = base.stop().unwrap_err();
    /// assert_eq!(error.reason(), "the base was already freed");
    /// assert_eq!(error.to_string(), "EventBase::stop: the base was already freed");
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[must_use]
    pub fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::Call { cause, .. } => cause.as_deref().unwrap_or("failed").into(),
            Self::Io { source, .. } => source.to_string().into(),
            Self::Argument { reason, .. } => Cow::Borrowed(reason),
            Self::State { reason, .. } => Cow::Borrowed(reason),
            Self::Freed { object, .. } => Ended(object).to_string().into(),
            Self::Forked { .. } => FORKED.into(),
        }
    }

    /// The system's kind of error; [`io::ErrorKind::Other`] where no system call failed.
    ///
    /// The stream functions return `WouldBlock` when there is nothing yet.
    ///
    /// # Examples
    /// ```
    /// use php_event::stream::{StreamContext, stream_socket_server};
    ///
    /// let nowhere = "unix:///nowhere/socket";
    /// let error = stream_socket_server(nowhere, &StreamContext::default()).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    /// ```
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Io { source, .. } => source.kind(),
            Self::Argument { .. } => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        }
    }

    /// The message of libevent or OpenSSL about the cause, if it gave one.
    ///
    /// PHP: the property `EventException::$errorInfo`, which the extension never sets.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventConfig};
    ///
    /// let config = EventConfig::new()?;
    /// for method in php_event::Event::get_supported_methods() {
    ///     config.avoid_method(method)?;
    /// }
    /// let error = EventBase::with_config(&config).unwrap_err();
    /// println!("{:?}", error.error_info()); // that no backend is left
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventException::$errorInfo", alias = "errorInfo")]
    #[must_use]
    pub fn error_info(&self) -> Option<&str> {
        match self {
            Self::Call { cause, .. } => cause.as_deref(),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind and, as the inner error, the whole message.
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Turns libevent's 0 and -1 into a `Result`; the cause is the last text that it logged.
#[inline]
pub(crate) fn cvt(call: &'static str, rc: i32) -> Result<i32> {
    if rc == -1 { Err(failed(call)) } else { Ok(rc) }
}

/// The error of a call whose cause is the last text that libevent logged.
#[cold]
pub(crate) fn failed(call: &'static str) -> Error {
    Error::Call {
        call,
        cause: log::take_cause(),
    }
}

/// Turns libevent's null into a `Result`; the cause is the last text that it logged.
pub(crate) fn cvt_p<T>(call: &'static str, pointer: *mut T) -> Result<*mut T> {
    if pointer.is_null() {
        Err(failed(call))
    } else {
        Ok(pointer)
    }
}

/// As [`cvt_p`], for a pointer that is owned from now on.
pub(crate) fn cvt_owned<T>(call: &'static str, pointer: *mut T) -> Result<NonNull<T>> {
    NonNull::new(pointer).ok_or_else(|| failed(call))
}

/// Text for C, where a NUL would end it; `what` names it in the error.
pub(crate) fn c_text(call: &'static str, what: &str, text: impl AsRef<[u8]>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text).map_err(|_nul| {
        let text = String::from_utf8_lossy(text);
        Error::argument(call, format!("the {what} {text:?} holds a NUL"))
    })
}

struct Because<'a>(Option<&'a str>);

impl fmt::Display for Because<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

struct Ended<'a>(&'a str);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = if self.0 == "stream" {
            "closed"
        } else {
            "freed"
        };
        write!(f, "the {} was already {ended}", self.0)
    }
}
