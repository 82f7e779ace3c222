//! Why a request is not served: a status and one sentence.

use std::fmt;

use crate::reason_phrase;

/// The status codes this side answers by itself.
///
/// Source: RFC 9110 §15, RFC 6585 §5 for 431.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// 400: the request breaks the grammar, or two readers could frame it differently.
    BadRequest,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 413: the body is longer than the limit.
    ContentTooLarge,
    /// 414: the request line is longer than the limit.
    UriTooLong,
    /// 417: the `Expect` field asks for something other than `100-continue`.
    ExpectationFailed,
    /// 431: the header fields are too long or too many.
    RequestHeaderFieldsTooLarge,
    /// 500: the server failed.
    InternalServerError,
    /// 501: the method or the transfer coding is not implemented.
    NotImplemented,
    /// 503: the server can't take the request now.
    ServiceUnavailable,
    /// 505: the request is not HTTP/1.0 or HTTP/1.1.
    HttpVersionNotSupported,
}

impl Status {
    /// The three digits.
    ///
    /// ```
    /// assert_eq!(http_framing::Status::UriTooLong.code(), 414);
    /// ```
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::RequestHeaderFieldsTooLarge => 431,
            Self::InternalServerError => 500,
            Self::NotImplemented => 501,
            Self::ServiceUnavailable => 503,
            Self::HttpVersionNotSupported => 505,
        }
    }

    /// The reason phrase that goes with the digits on a status line.
    ///
    /// ```
    /// assert_eq!(http_framing::Status::UriTooLong.phrase(), "URI Too Long");
    /// ```
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        reason_phrase(self.code())
    }
}

impl fmt::Display for Status {
    /// Writes `400 Bad Request`, as a status line has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.phrase())
    }
}

/// Why a request is refused; the connection is closed after it.
///
/// [`response::refusal`](super::response::refusal) makes the answer of it.
///
/// # Examples
/// ```
/// use http_framing::{Refusal, Status};
///
/// let late = Refusal::new(Status::RequestTimeout, "no complete request within 10 s");
/// assert_eq!(late.to_string(), "408 Request Timeout: no complete request within 10 s");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {reason}")]
pub struct Refusal {
    status: Status,
    reason: &'static str,
}

impl Refusal {
    /// A refusal with a reason the peer's author can act on.
    #[must_use]
    pub const fn new(status: Status, reason: &'static str) -> Self {
        Self { status, reason }
    }

    pub(super) const fn bad(reason: &'static str) -> Self {
        Self::new(Status::BadRequest, reason)
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// One sentence without its full stop, in plain ASCII.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}
