//! Why a request is refused: a status, one sentence, and the challenge that goes with it.

use std::borrow::Cow;
use std::fmt;

/// Characters of a reason in a challenge. Proxies bound the fields of an answer, and a reason may
/// quote a long topic.
const DESCRIPTION_MAX: usize = 256;

/// The status codes with which this crate refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: the request needs a valid token.
    Unauthorized,
    /// 403: the token does not allow the operation.
    Forbidden,
    /// 413: the request exceeds a limit.
    ContentTooLarge,
    /// 426: the WebSocket version is not supported.
    UpgradeRequired,
}

impl Status {
    /// The three digits.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::ContentTooLarge => 413,
            Self::UpgradeRequired => 426,
        }
    }
}

/// The error code of a `WWW-Authenticate: Bearer` challenge (RFC 6750 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BearerError {
    /// The token or the way it was sent is malformed.
    InvalidRequest,
    /// The token does not pass validation.
    InvalidToken,
    /// The token is valid but does not allow the operation.
    InsufficientScope,
}

impl BearerError {
    const fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

/// Why a request is refused.
///
/// # Examples
/// ```
/// use hub_protocol::{HubUrl, Status, publish};
///
/// let refusal = publish::parse(b"data=hi", &publish::Limits::default(), &HubUrl::default())
///     .unwrap_err();
/// assert_eq!(refusal.status(), Status::BadRequest);
/// assert_eq!(refusal.reason(), "the field \"topic\" is missing");
/// assert_eq!(refusal.challenge(None), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    status: Status,
    reason: Cow<'static, str>,
    error: Option<BearerError>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.code(), self.reason)
    }
}

impl Refusal {
    pub(crate) fn new(status: Status, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            reason: reason.into(),
            error: None,
        }
    }

    pub(crate) fn bad(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::BadRequest, reason)
    }

    pub(crate) fn too_large(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Status::ContentTooLarge, reason)
    }

    pub(crate) fn bearer(
        status: Status,
        error: BearerError,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            error: Some(error),
            ..Self::new(status, reason)
        }
    }

    /// The refusal of an operation that needs a token when none was sent.
    #[must_use]
    pub fn token_missing() -> Self {
        Self::new(Status::Unauthorized, "an access token is required")
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// One sentence without its full stop. It never contains a key or a token, but may quote
    /// what the peer sent.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The value of the `WWW-Authenticate` field, where the answer needs one.
    ///
    /// `resource_metadata` is the URL of the hub's protected resource metadata.
    #[must_use]
    pub fn challenge(&self, resource_metadata: Option<&str>) -> Option<String> {
        if self.error.is_none() && self.status != Status::Unauthorized {
            return None;
        }
        let mut parameters = Vec::new();
        if let Some(error) = self.error {
            parameters.push(format!("error=\"{}\"", error.code()));
            let description = quotable(self.reason.chars().take(DESCRIPTION_MAX));
            parameters.push(format!("error_description=\"{description}\""));
        }
        if let Some(url) = resource_metadata {
            parameters.push(format!("resource_metadata=\"{}\"", quotable(url.chars())));
        }
        let mut challenge = "Bearer".to_owned();
        if !parameters.is_empty() {
            challenge.push(' ');
            challenge.push_str(&parameters.join(", "));
        }
        Some(challenge)
    }
}

/// `text` with what RFC 6750 §3 does not allow in a description replaced.
fn quotable(text: impl Iterator<Item = char>) -> String {
    text.map(|c| match c {
        '"' => '\'',
        '\\' => '/',
        ' '..='~' => c,
        _ => '?',
    })
    .collect()
}
