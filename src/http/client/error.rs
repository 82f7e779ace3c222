//! [`HttpError`]: why a client's request has no answer.
//!
//! Owns, lends to C: nothing. Runs no user code.

use crate::dns::DnsError;
use crate::ffi;

/// Why a request that was made has no answer.
///
/// PHP: none; there the callback gets null, or a request with the status 0, and no reason.
/// libevent: `enum evhttp_request_error`, which `evhttp_request_set_error_cb` tells.
///
/// # Examples
/// ```
/// use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpError};
///
/// # let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
/// let base = EventBase::new()?;
/// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", closed)?;
/// let request = EventHttpRequest::new(|_answer| {})?;
/// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
/// base.dispatch()?;
/// assert_eq!(request.error(), Some(HttpError::NotConnected));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The host's name has no address, or it could not be found out.
    #[error("the name could not be resolved: {0}")]
    NotResolved(DnsError),
    /// There is no connection: refused, not reachable, or not within the time.
    #[error("no connection could be made")]
    NotConnected,
    /// The server was silent for too long.
    #[error("the server did not answer in time")]
    Timeout,
    /// The connection ended before the answer was complete.
    #[error("the connection ended before the answer was complete")]
    Eof,
    /// What came is no HTTP answer, or its headers are too long or contradict one another.
    #[error("the answer's head is malformed or too long")]
    InvalidHeader,
    /// libevent could not work on a buffer.
    #[error("a buffer failed")]
    Buffer,
    /// The request was cancelled.
    #[error("the request was cancelled")]
    Cancelled,
    /// The answer's body is longer than the limit, or its chunks are malformed.
    #[error("the answer's body is malformed or too long")]
    TooLong,
}

impl HttpError {
    pub(crate) fn of(kind: ffi::evhttp_request_error) -> Self {
        match kind {
            ffi::evhttp_request_error_EVREQ_HTTP_TIMEOUT => Self::Timeout,
            ffi::evhttp_request_error_EVREQ_HTTP_INVALID_HEADER => Self::InvalidHeader,
            ffi::evhttp_request_error_EVREQ_HTTP_BUFFER_ERROR => Self::Buffer,
            ffi::evhttp_request_error_EVREQ_HTTP_REQUEST_CANCEL => Self::Cancelled,
            ffi::evhttp_request_error_EVREQ_HTTP_DATA_TOO_LONG => Self::TooLong,
            _ => Self::Eof,
        }
    }
}
