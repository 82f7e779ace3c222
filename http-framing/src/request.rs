//! What one request head means: the line, and the fields that frame or route.
//!
//! httparse reads the bytes; this file closes what it leaves open (bare LF, empty lines at
//! will, targets of any bytes) and draws the conclusions of RFC 9112 §3, §6 and §9.

use std::mem::MaybeUninit;

use memchr::memchr_iter;

use super::connection::ConnectionOptions;
use super::{Limits, MAX_FIELDS, Refusal, Status, host, syntax};

/// The version a request names.
///
/// Every other version is refused with 505. RFC 9110 §2.5 would read HTTP/1.2 to 1.9 as 1.1;
/// there are no such versions, and two readers of one request must not guess differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0: the connection closes unless the peer asks to keep it.
    Http10,
    /// HTTP/1.1: the connection is kept unless the peer asks to close it.
    Http11,
}

/// The method of a request (RFC 9110 §9.3, RFC 5789).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `GET`.
    Get,
    /// `HEAD`: the answer is the head of what `GET` would have had.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `DELETE`.
    Delete,
    /// `CONNECT`: refused with 501 by the decoder, which serves no proxy.
    Connect,
    /// `OPTIONS`.
    Options,
    /// `TRACE`.
    Trace,
    /// `PATCH`.
    Patch,
    /// Any other token.
    Other,
}

impl Method {
    /// Names the method; case counts (RFC 9110 §9.1).
    ///
    /// ```
    /// use http_framing::Method;
    ///
    /// assert_eq!(Method::from_bytes(b"HEAD"), Method::Head);
    /// assert_eq!(Method::from_bytes(b"head"), Method::Other);
    /// ```
    #[must_use]
    pub const fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"CONNECT" => Self::Connect,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => Self::Other,
        }
    }
}

/// How the body that follows a head is delimited (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyLength {
    /// The head has no framing field: there is no body.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// One request head, its fields reduced to what framing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head<'a> {
    /// The method.
    pub method: Method,
    /// The request target as sent: a path, an `http` or `https` URI, or `*` for `OPTIONS`;
    /// visible ASCII without `#`, and its percent escapes are not looked at.
    pub target: &'a str,
    /// The version.
    pub version: Version,
    /// How the body is delimited.
    pub body: BodyLength,
    /// Whether the peer wants the connection kept after the answer.
    pub keep_alive: bool,
    /// Whether the peer waits for [`CONTINUE`](super::response::CONTINUE) before it sends the
    /// body (RFC 9110 §10.1.1); never set without a body to wait for, nor in HTTP/1.0.
    pub expects_continue: bool,
}

/// Reads one head from the start of `window`; `None` while its end has not come.
pub(super) fn parse<'a>(
    window: &'a [u8],
    limits: &Limits,
) -> Result<Option<(usize, Head<'a>)>, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let len = match request.parse_with_uninit_headers(window, &mut fields) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return syntax::fault(window, limits),
    };
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return syntax::fault(window, limits);
    };
    let head = window.get(..len).unwrap_or(window);
    let line = method.len() + target.len() + "  HTTP/1.1\r\n".len();
    let ended = head.get(..line).is_some_and(|line| line.ends_with(b"\r\n"))
        && request
            .headers
            .iter()
            .all(|field| ends_in_cr_lf(head, field.value))
        && head.ends_with(b"\r\n");
    if line > limits.request_line()
        || !target.is_ascii()
        || !ended && !has_cr_lf_only(head, request.headers.len() + 2)
    {
        return syntax::fault(window, limits);
    }
    let method = Method::from_bytes(method.as_bytes());
    check_target(method, target)?;
    let version = if minor == 0 {
        Version::Http10
    } else {
        Version::Http11
    };
    let mut seen = Fields::default();
    for field in request.headers.iter() {
        seen.take(field.name, field.value)?;
    }
    seen.check_host(version)?;
    let body = seen.body(version, limits)?;
    let keep_alive = seen.connection.keep_alive(version)?;
    let expects_continue = seen.expects_continue(version)?
        && !matches!(body, BodyLength::None | BodyLength::Length(0));
    Ok(Some((
        len,
        Head {
            method,
            target,
            version,
            body,
            keep_alive,
            expects_continue,
        },
    )))
}

/// Whether CR LF follows `value` at once, a part of `head` whose offset httparse does not tell.
fn ends_in_cr_lf(head: &[u8], value: &[u8]) -> bool {
    let end = value
        .as_ptr_range()
        .end
        .addr()
        .wrapping_sub(head.as_ptr().addr());
    matches!(head.get(end..), Some([b'\r', b'\n', ..]))
}

/// Whether each of the `lines` of a head that httparse takes ends in CR LF. To httparse a bare LF
/// ends a line too, but it lets a CR stand only before an LF: so it is enough to count.
#[cold]
fn has_cr_lf_only(head: &[u8], lines: usize) -> bool {
    memchr_iter(b'\r', head).count() == lines
}

/// Checks the form of the target (RFC 9112 §3.2).
fn check_target(method: Method, target: &str) -> Result<(), Refusal> {
    if method == Method::Connect {
        return Err(Refusal::new(
            Status::NotImplemented,
            "this server is no proxy: it has no CONNECT",
        ));
    }
    if target.contains('#') {
        return Err(Refusal::bad("the request target has a fragment (#)"));
    }
    if target.starts_with('/') {
        return Ok(());
    }
    check_rare_target(method, target)
}

#[cold]
fn check_rare_target(method: Method, target: &str) -> Result<(), Refusal> {
    if target == "*" {
        return match method {
            Method::Options => Ok(()),
            _ => Err(Refusal::bad("only OPTIONS may have the target *")),
        };
    }
    match target.split_once("://") {
        Some((scheme, rest))
            if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https") =>
        {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            if host::is_valid(authority.as_bytes()) {
                return Ok(());
            }
            Err(Refusal::bad(
                "the request target is a URI whose host or port is not valid",
            ))
        }
        _ => Err(Refusal::bad(
            "the request target must be a path, an http or https URI, or * for OPTIONS",
        )),
    }
}

/// The fields that frame or route, as they stand in one head.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    connection: ConnectionOptions,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &str, value: &'a [u8]) -> Result<(), Refusal> {
        // Length and first letter sort out nearly every other field.
        let first = name.as_bytes().first().map(u8::to_ascii_lowercase);
        match (name.len(), first.unwrap_or_default()) {
            (4, b'h') if name.eq_ignore_ascii_case("host") => {
                once(&mut self.host, value, "the request has two Host fields")
            }
            (6, b'e') if name.eq_ignore_ascii_case("expect") => {
                once(&mut self.expect, value, "the request has two Expect fields")
            }
            (10, b'c') if name.eq_ignore_ascii_case("connection") => {
                self.connection.take(value);
                Ok(())
            }
            (14, b'c') if name.eq_ignore_ascii_case("content-length") => once(
                &mut self.content_length,
                value,
                "the request has two Content-Length fields",
            ),
            (17, b't') if name.eq_ignore_ascii_case("transfer-encoding") => once(
                &mut self.transfer_encoding,
                value,
                "the request has two Transfer-Encoding fields",
            ),
            _ => Ok(()),
        }
    }

    /// RFC 9112 §3.2: 1.1 has exactly one `Host`, 1.0 at most one.
    fn check_host(&self, version: Version) -> Result<(), Refusal> {
        match self.host {
            Some(value) if host::is_valid(value) => Ok(()),
            Some([]) => Err(Refusal::bad("the Host field is empty")),
            Some(_) => Err(Refusal::bad(
                "the Host field is not one host with an optional port",
            )),
            None if version == Version::Http10 => Ok(()),
            None => Err(Refusal::bad(
                "the request has no Host field, which HTTP/1.1 requires",
            )),
        }
    }

    /// RFC 9112 §6.3, without its second chances.
    fn body(&self, version: Version, limits: &Limits) -> Result<BodyLength, Refusal> {
        match (self.transfer_encoding, self.content_length) {
            (None, None) => Ok(BodyLength::None),
            (None, Some(digits)) => {
                content_length(digits, limits.body_size).map(BodyLength::Length)
            }
            (Some(_), Some(_)) => Err(Refusal::bad(
                "the request has both Transfer-Encoding and Content-Length",
            )),
            (Some(_), None) if version == Version::Http10 => Err(Refusal::bad(
                "the request has Transfer-Encoding, which HTTP/1.0 does not have",
            )),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => {
                Ok(BodyLength::Chunked)
            }
            (Some(codings), None) => Err(transfer_encoding_fault(codings)),
        }
    }

    /// RFC 9110 §10.1.1: HTTP/1.0 has no expectations, whatever the field says.
    fn expects_continue(&self, version: Version) -> Result<bool, Refusal> {
        match self.expect {
            Some(value) if version == Version::Http11 => {
                if value.eq_ignore_ascii_case(b"100-continue") {
                    return Ok(true);
                }
                Err(Refusal::new(
                    Status::ExpectationFailed,
                    "the only expectation this server knows is 100-continue",
                ))
            }
            _ => Ok(false),
        }
    }
}

fn once<'a>(
    slot: &mut Option<&'a [u8]>,
    value: &'a [u8],
    twice: &'static str,
) -> Result<(), Refusal> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::bad(twice)),
    }
}

/// Reads `1*DIGIT` (RFC 9110 §8.6); a number past `u64` is past every limit, too.
pub(super) fn content_length(digits: &[u8], max: u64) -> Result<u64, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::bad("Content-Length is not a plain decimal number"));
    }
    digits
        .iter()
        .try_fold(0u64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
        })
        .filter(|length| *length <= max)
        .ok_or(super::BODY_TOO_LONG)
}

/// Why a `Transfer-Encoding` other than `chunked` is refused (RFC 9112 §6.1, §6.3, §7).
#[cold]
fn transfer_encoding_fault(codings: &[u8]) -> Refusal {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut reversed = codings.rsplit(|byte| *byte == b',').map(syntax::trim);
    if !reversed.clone().all(syntax::is_token) {
        Refusal::bad("Transfer-Encoding is not a list of plain coding names")
    } else if !reversed.next().is_some_and(is_chunked) {
        Refusal::bad("the last transfer coding is not chunked: the end of the body can't be found")
    } else if reversed.any(is_chunked) {
        Refusal::bad("Transfer-Encoding names chunked twice")
    } else {
        Refusal::new(
            Status::NotImplemented,
            "the only transfer coding this server knows is chunked",
        )
    }
}

#[cfg(test)]
mod tests;
