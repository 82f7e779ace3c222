//! What one request head means: the line, and the fields that frame or route.
//!
//! [`scan`](super::scan) reads the lines; this file applies RFC 9112 §3, §6 and §9 to them.

use super::connection::ConnectionOptions;
use super::scan::{FieldLine, RequestLine};
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

impl BodyLength {
    /// Whether the next request follows the head at once.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None | Self::Length(0))
    }
}

/// One request head, its fields reduced to what framing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Head<'a> {
    /// The method.
    pub method: Method,
    /// The request target as sent: a path, an `http` or `https` URI, or `*` for `OPTIONS`;
    /// visible ASCII without `#`, and its percent escapes are not looked at.
    pub target: &'a [u8],
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

impl<'a> Head<'a> {
    /// The request target as text.
    ///
    /// ```
    /// use http_framing::{Decoder, Item, Limits};
    ///
    /// let decoded = Decoder::new(Limits::default()).decode(b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n")?;
    /// assert!(matches!(decoded.item, Item::Head(head) if head.target_str() == "/a?b"));
    /// # Ok::<(), http_framing::Refusal>(())
    /// ```
    #[must_use]
    pub fn target_str(&self) -> &'a str {
        str::from_utf8(self.target).unwrap_or_default() // always ASCII
    }
}

/// Reads one head from the start of `window`; `None` while its end has not come.
///
/// What is wrong with the form of a line comes before what is wrong with the meaning of a field.
pub(super) fn parse<'a>(
    window: &'a [u8],
    limits: &Limits,
) -> Result<Option<(usize, Head<'a>)>, Refusal> {
    let Some((line, fields, length)) = read(window, limits) else {
        return syntax::fault(window, limits);
    };
    check_target(&line)?;
    fields.check_repeated()?;
    fields.check_host(line.version)?;
    let body = fields.body(line.version, limits)?;
    let keep_alive = fields.connection.keep_alive(line.version)?;
    let expects_continue = fields.expects_continue(line.version)? && !body.is_empty();
    let head = Head {
        method: line.method,
        target: line.target,
        version: line.version,
        body,
        keep_alive,
        expects_continue,
    };
    Ok(Some((length, head)))
}

/// The request line and the fields of the head that `window` begins with, and its length; `None`
/// unless it is whole and well-formed.
#[inline]
fn read<'a>(window: &'a [u8], limits: &Limits) -> Option<(RequestLine<'a>, Fields<'a>, usize)> {
    let line = RequestLine::read(window)?;
    if window.len() - line.rest.len() > limits.request_line() {
        return None;
    }
    let mut rest = line.rest;
    let mut fields = Fields::default();
    let mut left = MAX_FIELDS;
    loop {
        if let [b'\r', b'\n', after @ ..] = rest {
            return Some((line, fields, window.len() - after.len()));
        }
        left = left.checked_sub(1)?;
        let field = FieldLine::read(rest)?;
        fields.take(field.name, field.value);
        rest = field.rest;
    }
}

/// Checks the form of the target (RFC 9112 §3.2).
fn check_target(line: &RequestLine<'_>) -> Result<(), Refusal> {
    if line.method == Method::Connect {
        return Err(Refusal::new(
            Status::NotImplemented,
            "this server is not a proxy: it does not support CONNECT",
        ));
    }
    if line.has_fragment {
        return Err(Refusal::bad("the request target has a fragment (#)"));
    }
    if line.target.starts_with(b"/") {
        return Ok(());
    }
    check_rare_target(line.method, line.target)
}

#[cold]
fn check_rare_target(method: Method, target: &[u8]) -> Result<(), Refusal> {
    let target = str::from_utf8(target).unwrap_or_default(); // always ASCII
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

/// The fields that frame or route, as they are in one head.
#[derive(Default)]
struct Fields<'a> {
    host: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    transfer_encoding: Option<&'a [u8]>,
    expect: Option<&'a [u8]>,
    connection: ConnectionOptions,
    repeated: Option<&'static str>, // the first field that may not be, and is
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &[u8], value: &'a [u8]) {
        // The length sorts out nearly every other field.
        let (slot, twice) = match name.len() {
            4 if is(name, b"Host") => (&mut self.host, "the request has two Host fields"),
            6 if is(name, b"Expect") => (&mut self.expect, "the request has two Expect fields"),
            10 if is(name, b"Connection") => return self.connection.take(value),
            14 if is(name, b"Content-Length") => (
                &mut self.content_length,
                "the request has two Content-Length fields",
            ),
            17 if is(name, b"Transfer-Encoding") => (
                &mut self.transfer_encoding,
                "the request has two Transfer-Encoding fields",
            ),
            _ => return,
        };
        if slot.replace(value).is_some() {
            self.repeated.get_or_insert(twice);
        }
    }

    fn check_repeated(&self) -> Result<(), Refusal> {
        self.repeated.map_or(Ok(()), |why| Err(Refusal::bad(why)))
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

/// Whether a field has this name, which is given as it is usually spelled.
#[inline]
fn is(name: &[u8], usual: &[u8]) -> bool {
    name == usual || name.eq_ignore_ascii_case(usual)
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
