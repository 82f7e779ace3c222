//! The grammar of a head, line by line, and the name of its first fault.
//!
//! [`scan`](super::scan) reads a good head faster, and says nothing about a bad one: this walk
//! finds the sentence that the peer is told. It also reads trailers, which arrive a line at a time.

use memchr::memchr;

use super::line::{FieldLine, Line, RequestLine};
use super::{Limits, MAX_FIELDS, Refusal, Status};

pub(super) const BARE_LF: Refusal =
    Refusal::bad("a line ends in LF alone: every line must end in CR LF");
pub(super) const BARE_CR: Refusal = Refusal::bad("a CR is not followed by LF");
pub(super) const TOO_MANY_FIELDS: Refusal = Refusal::new(
    Status::RequestHeaderFieldsTooLarge,
    "the request has more than 100 fields",
);
const LINE_TOO_LONG: Refusal = Refusal::new(
    Status::UriTooLong,
    "the request line is longer than this server takes",
);
const HEAD_TOO_LONG: Refusal = Refusal::new(
    Status::RequestHeaderFieldsTooLarge,
    "the request head is longer than this server takes",
);

/// Whether `byte` may occur in a token (RFC 9110 §5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        | b'^' | b'_' | b'`' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// Whether `bytes` are a token: a method, or a field's name (RFC 9110 §5.6.2).
///
/// # Examples
/// ```
/// assert!(http_framing::is_token(b"X-Served-By"));
/// assert!(!http_framing::is_token(b"X Served By") && !http_framing::is_token(b""));
/// ```
#[must_use]
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// Whether `byte` may occur in a field value or a chunk extension (RFC 9110 §5.5): bytes from
/// 0x80 on are opaque there, of the controls only HTAB is let in.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Whether `bytes` may be a field's value (RFC 9110 §5.5): no control byte but HTAB.
///
/// # Examples
/// ```
/// assert!(http_framing::is_field_value(b"no-store"));
/// assert!(!http_framing::is_field_value(b"a\r\nSet-Cookie: b"));
/// ```
#[must_use]
pub fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().copied().all(is_value_byte)
}

/// Drops spaces and tabs at both ends (`OWS`, RFC 9110 §5.6.3); no other byte is white space.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Why `window`, the part of a head that has come up to the size limit, is not a whole head.
///
/// `None` while more bytes can make it one.
#[cold]
pub(super) fn fault<T>(window: &[u8], limits: &Limits) -> Result<Option<T>, Refusal> {
    if walk(window, limits)? {
        return Err(Refusal::bad("the request head is malformed"));
    }
    Ok(None)
}

/// Checks the lines in order, and says whether the empty line that ends the head is among them.
pub(super) fn walk(window: &[u8], limits: &Limits) -> Result<bool, Refusal> {
    let line_max = limits.request_line();
    let Some((line, mut rest)) = split_line(window).filter(|(line, _)| line.len() < line_max)
    else {
        let line = window.get(..line_max).unwrap_or(window);
        RequestLine::open(without_cr(line))?;
        return if line.len() < line_max {
            Ok(false)
        } else {
            Err(LINE_TOO_LONG)
        };
    };
    let (line, end) = line_end(line);
    RequestLine::whole(line)?;
    end?;
    let mut fields = 0;
    while let Some((line, tail)) = split_line(rest) {
        let (line, end) = line_end(line);
        if line.is_empty() {
            return end.map(|()| true);
        }
        FieldLine::whole(line)?;
        end?;
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(TOO_MANY_FIELDS);
        }
        rest = tail;
    }
    FieldLine::open(without_cr(rest))?;
    if window.len() < limits.header_size {
        Ok(false)
    } else {
        Err(HEAD_TOO_LONG)
    }
}

/// The bytes before the first LF, and those after it.
pub(super) fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr(b'\n', bytes)?)?;
    Some((line, rest.get(1..)?))
}

/// Takes the CR off a line whose LF is off already.
pub(super) fn line_end(line: &[u8]) -> (&[u8], Result<(), Refusal>) {
    match line {
        [line @ .., b'\r'] => (line, Ok(())),
        line => (line, Err(BARE_LF)),
    }
}

/// Takes the CR off an open line: whether LF follows is not known yet.
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Splits one field line, its CR LF taken off (RFC 9112 §5).
pub(super) fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if let Some((name, [b':', value @ ..])) =
        memchr(b':', line).and_then(|colon| line.split_at_checked(colon))
        && is_token(name)
        && is_field_value(value)
    {
        return Ok((name, trim(value)));
    }
    FieldLine::whole(line)?;
    Err(Refusal::bad("a field line is malformed"))
}
