//! The hub's own URL, and topics as URLs relative to it.

use std::cell::OnceCell;

use percent_encoding::percent_decode;
use url::Url;

/// The URL under which clients reach the hub.
///
/// Relative topics and URL patterns are resolved against it, and its path is reserved for topics
/// that the hub itself publishes.
///
/// # Examples
/// ```
/// use hub_protocol::HubUrl;
///
/// let hub = HubUrl::parse("https://hub.example.com/.well-known/mercure")?;
/// assert_eq!(hub.path(), "/.well-known/mercure");
/// assert!(hub.topic("/.well-known/%6Dercure/subscriptions").is_reserved());
/// # Ok::<(), hub_protocol::HubUrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubUrl(Url);

/// Why a text is not a URL for a hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubUrlError {
    /// It is not an absolute URL.
    #[error("the hub's URL is not valid: {0}; write it as https://example.com/.well-known/mercure")]
    Syntax(#[from] url::ParseError),
    /// Its scheme is neither `http` nor `https`.
    #[error("the hub's URL must begin with http: or https:")]
    Scheme,
    /// It has a user, a query or a fragment.
    #[error("the hub's URL must have no user, query or fragment")]
    Extra,
    /// The path is `/` or ends with a slash; the hub's own topics begin with the path and a slash.
    #[error(
        "the hub's URL must have a path that does not end with a slash, such as https://example.com/.well-known/mercure"
    )]
    Path,
}

impl Default for HubUrl {
    /// `http://localhost/.well-known/mercure`.
    #[allow(clippy::unwrap_used)] // a constant URL
    fn default() -> Self {
        Self::parse("http://localhost/.well-known/mercure").unwrap()
    }
}

impl HubUrl {
    /// Reads the URL.
    ///
    /// # Errors
    /// When it is not a plain `http:` or `https:` URL.
    pub fn parse(text: &str) -> Result<Self, HubUrlError> {
        let url = Url::parse(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(HubUrlError::Scheme);
        }
        let extra = url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some();
        if extra {
            return Err(HubUrlError::Extra);
        }
        if url.path().ends_with('/') {
            return Err(HubUrlError::Path);
        }
        Ok(Self(url))
    }

    /// The URL in its canonical form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Its path: `/.well-known/mercure` unless the deployment has another one.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// Scheme, host and port, as browsers send them in `Origin`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// A topic, to compare with matchers.
    #[must_use]
    pub fn topic<'a>(&'a self, text: &'a str) -> Topic<'a> {
        Topic {
            text,
            hub: self,
            url: OnceCell::new(),
        }
    }

    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

/// A topic of an update. Its URL is parsed once, when the first URL pattern needs it.
#[derive(Debug)]
pub struct Topic<'a> {
    text: &'a str,
    hub: &'a HubUrl,
    url: OnceCell<Option<Url>>,
}

impl Topic<'_> {
    /// The topic as it was published.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text
    }

    /// The topic as a URL, resolved against the hub's; none if it is not a URL reference.
    pub(crate) fn url(&self) -> Option<&Url> {
        self.url
            .get_or_init(|| self.hub.0.join(self.text).ok())
            .as_ref()
    }

    /// Whether the topic lies under the hub's path, where only the hub publishes.
    ///
    /// Scheme and host do not matter, and escapes do not hide the path. Dot segments neither hide it
    /// nor lead out of it: URI templates match a topic as it is written.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        let hub = decode_unreserved(self.hub.path());
        let is_under_hub = |path: &str| {
            decode_unreserved(path)
                .strip_prefix(hub.as_slice())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        is_under_hub(written_path(self.text))
            || self.url().is_some_and(|url| is_under_hub(url.path()))
    }
}

/// A URL reference without its scheme and host, and all else as it is written.
fn written_path(text: &str) -> &str {
    let is_scheme = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => text,
    };
    match rest.strip_prefix("//") {
        Some(host) => host.find('/').map_or("", |at| &host[at..]),
        None => rest,
    }
}

/// Replaces the escapes of characters that need none (RFC 3986 §2.3).
fn decode_unreserved(path: &str) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = rest.get(..3).filter(|_| byte == b'%');
        let unescaped = escape.and_then(|escape| percent_decode(escape).next());
        match unescaped {
            Some(c) if c.is_ascii_alphanumeric() || b"-._~".contains(&c) => {
                decoded.push(c);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                decoded.push(byte);
                rest = tail;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests;
