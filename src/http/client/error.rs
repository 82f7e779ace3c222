//! [`HttpError`]: why a client's request has no answer.
//!
//! Owns, lends to C: nothing. Runs no user code.

use std::io;

use http_framing::ResponseError;

use crate::dns::DnsError;
use crate::error::Error;

/// Why a request that was made has no answer.
///
/// PHP: none; there the callback gets null, or a request with the status 0, and no reason.
/// libevent: `enum evhttp_request_error`.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpError};
/// use std::io::ErrorKind;
///
/// # let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
/// let base = EventBase::new()?;
/// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", closed)?;
/// let request = EventHttpRequest::new(|_answer| {})?;
/// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
/// base.dispatch()?;
/// let error = request.error().unwrap();
/// assert_eq!(error, HttpError::NotConnected(ErrorKind::ConnectionRefused));
/// assert_eq!(error.to_string(), "no connection could be made: connection refused");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The host's name has no address, or the lookup failed.
    #[error("the name could not be resolved: {0}")]
    NotResolved(DnsError),
    /// No connection could be made: the server refused it, is not reachable, or did not respond
    /// in time.
    #[error("no connection could be made: {0}")]
    NotConnected(io::ErrorKind),
    /// TLS failed, with the reason of the TLS library: in the handshake, for example because the
    /// server's certificate was not accepted, or later.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The server was silent for too long.
    #[error("the server did not answer in time")]
    Timeout,
    /// The server closed the connection before the answer was complete.
    #[error("the connection ended before the answer was complete")]
    Eof,
    /// The connection broke before the answer was complete: for example, the server reset it.
    #[error("the connection broke before the answer was complete: {0}")]
    Broken(io::ErrorKind),
    /// What came is no HTTP answer, its head is too long, or the length of its body is not
    /// certain.
    #[error("the answer's head is not acceptable: {0}")]
    InvalidHeader(&'static str),
    /// The chunks of the answer's body are malformed.
    #[error("the answer's body is malformed: {0}")]
    InvalidBody(&'static str),
    /// The answer's body is longer than the limit.
    #[error("the answer's body is longer than the limit")]
    TooLong,
    /// A buffer could not take the request or the answer.
    #[error("a buffer failed")]
    Buffer,
    /// The request was cancelled.
    #[error("the request was cancelled")]
    Cancelled,
}

impl HttpError {
    /// Whether the closure is shown the request all the same, with a response code of 0: as with
    /// libevent, when there was no connection.
    pub(super) const fn shows_request(&self) -> bool {
        matches!(self, Self::NotConnected(_))
    }

    /// Why a connection could not even be tried.
    pub(super) fn of_attempt(error: &Error) -> Self {
        match error {
            Error::Io { source, .. } => Self::NotConnected(source.kind()),
            _ => Self::NotConnected(io::ErrorKind::Other),
        }
    }
}

impl From<ResponseError> for HttpError {
    fn from(error: ResponseError) -> Self {
        match error {
            ResponseError::Head(reason) => Self::InvalidHeader(reason),
            ResponseError::HeadTooLong => Self::InvalidHeader("it is longer than the limit"),
            ResponseError::Body(reason) => Self::InvalidBody(reason),
            ResponseError::BodyTooLong => Self::TooLong,
            _ => Self::Eof, // `ResponseError::Incomplete`
        }
    }
}
