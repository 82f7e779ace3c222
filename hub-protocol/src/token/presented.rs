//! Where a request carries its token.

use url::Url;

use crate::{BearerError, Forms, Refusal, Status};

/// The cookie of the deployed form.
pub const DEPLOYED_COOKIE: &str = "mercureAuthorization";

/// The cookie of the standard form.
pub const STANDARD_COOKIE: &str = "__Secure-mercure_access_token";

/// The parts of a request that may carry a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presented<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// `Cookie`.
    pub cookie: Option<&'a [u8]>,
    /// The parameter `authorization` of the query, decoded.
    pub query: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a [u8]>,
    /// `Referer`.
    pub referer: Option<&'a [u8]>,
}

/// Whether a cookie counts only from trusted origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OriginCheck {
    /// For requests that change something, and for WebSocket, whose answer every page may read.
    Required,
    /// For a `GET` whose answer the browser shows to trusted origins alone (CORS).
    NotNeeded,
}

/// How the hub accepts tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The names of the cookies that may have a token; the first that is there counts.
    pub cookies: Vec<String>,
    /// Whether the query may have a token.
    pub in_query: bool,
    /// The origins whose pages may use a cookie to publish: `https://example.com`, or `*` for
    /// all.
    pub origins: Vec<String>,
}

impl Presentation {
    /// What the forms say: both cookies and the query, or the standard cookie alone.
    #[must_use]
    pub fn new(forms: Forms, origins: Vec<String>) -> Self {
        let mut cookies = Vec::new();
        if forms.standard {
            cookies.push(STANDARD_COOKIE.to_owned());
        }
        if forms.deployed {
            cookies.push(DEPLOYED_COOKIE.to_owned());
        }
        Self {
            cookies,
            in_query: forms.deployed,
            origins,
        }
    }

    /// The token of a request, or none: from `Authorization`, else from the query, else from a
    /// cookie.
    ///
    /// # Errors
    /// 400 `invalid_request` for an `Authorization` that is malformed, 403 for a cookie from an
    /// origin that is not trusted.
    ///
    /// # Examples
    /// ```
    /// use hub_protocol::Forms;
    /// use hub_protocol::token::{OriginCheck, Presentation, Presented};
    ///
    /// let presentation = Presentation::new(Forms::default(), vec![]);
    /// let request = Presented { authorization: Some(b"Bearer a.b.c"), ..Presented::default() };
    /// assert_eq!(presentation.token(&request, OriginCheck::Required)?, Some("a.b.c"));
    /// # Ok::<(), hub_protocol::Refusal>(())
    /// ```
    pub fn token<'a>(
        &self,
        request: &Presented<'a>,
        check: OriginCheck,
    ) -> Result<Option<&'a str>, Refusal> {
        if let Some(field) = request.authorization {
            return bearer(field).map(Some);
        }
        if let Some(token) = request.query.filter(|_| self.in_query) {
            return Ok(Some(token));
        }
        let Some(token) = request.cookie.and_then(|field| self.cookie(field)) else {
            return Ok(None);
        };
        if check == OriginCheck::Required {
            self.check_origin(request)?;
        }
        Ok(Some(token))
    }

    fn cookie<'a>(&self, field: &'a [u8]) -> Option<&'a str> {
        let field = str::from_utf8(field).ok()?;
        self.cookies.iter().find_map(|name| {
            field.split(';').find_map(|pair| {
                let value = pair.trim().strip_prefix(name.as_str())?.strip_prefix('=')?;
                let unquoted = value
                    .strip_prefix('"')
                    .and_then(|value| value.strip_suffix('"'));
                Some(unquoted.unwrap_or(value)).filter(|value| !value.is_empty())
            })
        })
    }

    fn check_origin(&self, request: &Presented<'_>) -> Result<(), Refusal> {
        if self.origins.iter().any(|origin| origin == "*") {
            return Ok(());
        }
        let origin = request
            .origin
            .or(request.referer)
            .and_then(|field| str::from_utf8(field).ok())
            .and_then(|text| Url::parse(text).ok())
            .map(|url| url.origin().ascii_serialization())
            .ok_or_else(|| forbidden("a cookie needs an Origin or Referer field beside it"))?;
        if self.origins.contains(&origin) {
            Ok(())
        } else {
            Err(forbidden("the origin may not use a cookie here"))
        }
    }
}

fn forbidden(reason: &'static str) -> Refusal {
    Refusal::bearer(Status::Forbidden, BearerError::InsufficientScope, reason)
}

/// The token of an `Authorization` field. The scheme's case does not matter.
fn bearer(field: &[u8]) -> Result<&str, Refusal> {
    let invalid = |reason| Refusal::bearer(Status::BadRequest, BearerError::InvalidRequest, reason);
    let field =
        str::from_utf8(field).map_err(|_| invalid("the field Authorization is not valid UTF-8"))?;
    let (scheme, token) = field.trim().split_once(' ').unwrap_or((field, ""));
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(invalid(
            "the scheme of the field Authorization must be Bearer",
        ));
    }
    let token = token.trim_start();
    if token.is_empty() || token.contains(' ') {
        return Err(invalid("the field Authorization must have one token"));
    }
    Ok(token)
}
