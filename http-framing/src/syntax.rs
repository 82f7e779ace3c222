//! The grammar of a head, line by line, and the name of its first fault.
//!
//! The common path does not come here: httparse reads a good head faster than any walk over
//! lines. It tells little about a bad one, so this walk finds the sentence the peer is told;
//! it also reads trailers, which arrive a line at a time.

use memchr::memchr;

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
const VERSION_UNKNOWN: Refusal = Refusal::new(
    Status::HttpVersionNotSupported,
    "this server speaks HTTP/1.1 and HTTP/1.0",
);
const VERSION_MISSPELT: Refusal =
    Refusal::bad("the request line does not end in one space and HTTP/1.1 or HTTP/1.0");

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2).
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

/// Whether `byte` may stand in a field value or a chunk extension (RFC 9110 §5.5): bytes from
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

/// Why httparse refuses `window`, the part of a head that has come up to the size limit.
///
/// `None` while only the byte after a CR at its end can tell.
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
        open_request_line(line)?;
        return if line.len() < line_max {
            Ok(false)
        } else {
            Err(LINE_TOO_LONG)
        };
    };
    let (line, end) = line_end(line);
    request_line(line)?;
    end?;
    let mut fields = 0;
    while let Some((line, tail)) = split_line(rest) {
        let (line, end) = line_end(line);
        if line.is_empty() {
            return end.map(|()| true);
        }
        field_line(line)?;
        end?;
        fields += 1;
        if fields > MAX_FIELDS {
            return Err(TOO_MANY_FIELDS);
        }
        rest = tail;
    }
    open_field_line(rest)?;
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

/// Splits one field line, its CR LF taken off (RFC 9112 §5).
pub(super) fn field_line(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = memchr(b':', line).unwrap_or(line.len());
    let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
    field_name(name)?;
    let Some(value) = value.get(1..) else {
        return Err(Refusal::bad("a field line has no colon"));
    };
    no_controls(value)?;
    Ok((name, trim(value)))
}

fn field_name(name: &[u8]) -> Result<(), Refusal> {
    match name {
        [] => Err(Refusal::bad("a field line has no name before its colon")),
        [b' ' | b'\t', ..] => Err(Refusal::bad(
            "a field line begins with white space: folded lines are obsolete",
        )),
        [token @ .., b' ' | b'\t'] if is_token(token) => {
            Err(Refusal::bad("a field has white space before its colon"))
        }
        name if is_token(name) => Ok(()),
        name => {
            no_controls(name)?;
            Err(Refusal::bad(
                "a field name has a byte that no name may have",
            ))
        }
    }
}

/// Checks what has come of a field line that has no end yet.
fn open_field_line(line: &[u8]) -> Result<(), Refusal> {
    match line.strip_suffix(b"\r").unwrap_or(line) {
        [] => Ok(()),
        line if memchr(b':', line).is_some() => field_line(line).map(drop),
        line => field_name(line),
    }
}

/// Checks a request line without its CR LF (RFC 9112 §3), except the form of the target.
fn request_line(line: &[u8]) -> Result<(), Refusal> {
    let [target, version] = request_words(line)?;
    let Some(target) = target else {
        return Err(Refusal::bad("the request line is a single word"));
    };
    match version {
        Some(b"HTTP/1.1" | b"HTTP/1.0") => no_obs_text(target),
        Some([b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9']) => {
            Err(VERSION_UNKNOWN)
        }
        Some(_) => Err(VERSION_MISSPELT),
        None => Err(Refusal::bad(
            "the request line has no HTTP version after its target",
        )),
    }
}

/// Checks what has come of a request line that has no end yet.
fn open_request_line(line: &[u8]) -> Result<(), Refusal> {
    let [target, version] = request_words(line.strip_suffix(b"\r").unwrap_or(line))?;
    match version {
        Some([b'H', b'T', b'T', b'P', b'/', rest @ ..]) => match rest {
            [] | [b'1'] | [b'1', b'.'] | [b'1', b'.', b'0' | b'1'] => {}
            [b'0'..=b'9'] | [b'0'..=b'9', b'.'] | [b'0'..=b'9', b'.', b'0'..=b'9'] => {
                return Err(VERSION_UNKNOWN);
            }
            _ => return Err(VERSION_MISSPELT),
        },
        Some(start) if !b"HTTP".starts_with(start) => return Err(VERSION_MISSPELT),
        _ => {}
    }
    target.map_or(Ok(()), no_obs_text)
}

/// Checks the method, and gives the two words after it; the second has all that follows.
fn request_words(line: &[u8]) -> Result<[Option<&[u8]>; 2], Refusal> {
    if let [0x16, 0x03, ..] = line {
        return Err(Refusal::bad(
            "this is a TLS handshake, and this port speaks plain HTTP",
        ));
    }
    no_controls(line)?;
    if memchr(b'\t', line).is_some() {
        return Err(Refusal::bad("the request line has a tab"));
    }
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let rest = [words.next(), words.next()];
    match (method, rest) {
        ([], [Some(_), _]) => Err(Refusal::bad("the request line begins with a space")),
        ([_, ..], _) if !is_token(method) => Err(Refusal::bad(
            "the method has a byte that no method may have",
        )),
        (_, [Some([]), Some(_)]) => Err(Refusal::bad("the request line has two spaces in a row")),
        _ => Ok(rest),
    }
}

fn no_obs_text(target: &[u8]) -> Result<(), Refusal> {
    if target.is_ascii() {
        return Ok(());
    }
    Err(Refusal::bad(
        "the request target has a byte that is not ASCII: it must be percent-encoded",
    ))
}

fn no_controls(bytes: &[u8]) -> Result<(), Refusal> {
    match bytes.iter().find(|byte| !is_value_byte(**byte)) {
        None => Ok(()),
        Some(b'\r') => Err(BARE_CR),
        Some(0) => Err(Refusal::bad("the head has a NUL byte")),
        Some(_) => Err(Refusal::bad("the head has a control byte")),
    }
}
