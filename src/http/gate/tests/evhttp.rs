//! How evhttp of libevent 2.1.12 reads a connection: a model, as lenient as the original.

use crate::codec::Method;

/// What reaches a callback, or the status that evhttp answers by itself before it closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Request {
        method: Method,
        /// Decoded, as routing compares it.
        path: Vec<u8>,
        body: Vec<u8>,
        /// Whether the connection is kept after the answer.
        kept: bool,
    },
    Status(u16),
    /// What reaches the callback with the end of what the gate refused.
    Refused,
}

/// Either what was read, or why there is nothing (more): `None` while bytes are missing.
type Read<T> = Result<T, Option<u16>>;

/// What evhttp makes of a connection that brings `bytes`.
pub(super) fn evhttp(bytes: &[u8]) -> Vec<Seen> {
    let (mut rest, mut seen) = (bytes, Vec::new());
    loop {
        match request(&mut rest) {
            Ok(request) => {
                let last = !matches!(request, Seen::Request { kept: true, .. });
                seen.push(request);
                if last {
                    return seen;
                }
            }
            Err(status) => {
                seen.extend(status.map(Seen::Status));
                return seen;
            }
        }
    }
}

/// The fields of the first request, those of its trailer among them.
pub(super) fn fields_of_the_first(bytes: &[u8]) -> Vec<(String, String)> {
    let mut rest = bytes;
    line(&mut rest).unwrap();
    let mut all = Vec::new();
    fields(&mut rest, &mut all).unwrap();
    if find(&all, "Transfer-Encoding").is_some_and(|coding| coding == "chunked") {
        chunks(&mut rest).unwrap();
        fields(&mut rest, &mut all).unwrap();
    }
    all
}

fn request(rest: &mut &[u8]) -> Read<Seen> {
    let first = line(rest)?.trim_end_matches(' ').to_owned();
    if first.len() < "GET / HTTP/1.0".len() {
        return Err(Some(400));
    }
    let (method, target) = first.split_once(' ').ok_or(Some(400))?;
    let (target, version) = target.rsplit_once(' ').ok_or(Some(400))?;
    let minor = version.strip_prefix("HTTP/1.").ok_or(Some(400))?;
    let old = minor.parse::<u32>().map_err(|_| Some(400))? == 0;
    let mut all = Vec::new();
    fields(rest, &mut all)?;
    let method = Method::from_bytes(method.as_bytes());
    let body = match method {
        Method::Head | Method::Trace | Method::Other => Vec::new(),
        _ => body(rest, &mut all, old)?,
    };
    if method == Method::Other {
        return Ok(Seen::Status(501));
    }
    if body.ends_with(super::REFUSED) {
        return Ok(Seen::Refused);
    }
    let connection = find(&all, "Connection").unwrap_or_default();
    let (path, proxied) = path(target);
    let closes = connection == "close"
        || old && !connection.starts_with("keep-alive")
        // It takes the request for a proxy's.
        || proxied;
    Ok(Seen::Request {
        method,
        path,
        body,
        kept: !closes,
    })
}

/// A line up to LF, or CR LF.
fn line(rest: &mut &[u8]) -> Read<String> {
    let at = rest.iter().position(|byte| *byte == b'\n').ok_or(None)?;
    let line = rest[..at].strip_suffix(b"\r").unwrap_or(&rest[..at]);
    *rest = &rest[at + 1..];
    // A C string from here on.
    let line = line.split(|byte| *byte == 0).next().unwrap();
    Ok(line.iter().map(|byte| char::from(*byte)).collect())
}

fn fields(rest: &mut &[u8], all: &mut Vec<(String, String)>) -> Read<()> {
    loop {
        let line = line(rest)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with([' ', '\t']) {
            let (_, value) = all.last_mut().ok_or(Some(400))?;
            *value = format!("{value} {}", line.trim_matches([' ', '\t']));
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(Some(400))?;
        let value = value.trim_start_matches(' ').trim_end_matches([' ', '\t']);
        all.push((name.to_owned(), value.to_owned()));
    }
}

/// The first of that name, in lower case unless it is not ASCII.
fn find(all: &[(String, String)], name: &str) -> Option<String> {
    let mut all = all.iter();
    all.find(|field| field.0.eq_ignore_ascii_case(name))
        .map(|field| field.1.to_ascii_lowercase())
}

fn body(rest: &mut &[u8], all: &mut Vec<(String, String)>, old: bool) -> Read<Vec<u8>> {
    let chunked = find(all, "Transfer-Encoding").is_some_and(|coding| coding == "chunked");
    let length = match find(all, "Content-Length") {
        Some(digits) if !chunked => match number(&digits, 10) {
            Some((length, "")) if length >= 0 => length,
            _ => return Err(Some(400)),
        },
        _ => 0,
    };
    if !chunked && length == 0 {
        return Ok(Vec::new());
    }
    if !old && find(all, "Expect").is_some_and(|what| what != "100-continue") {
        return Err(Some(417));
    }
    if chunked {
        let data = chunks(rest)?;
        fields(rest, all).map_err(|status| status.map(|_| 413))?;
        return Ok(data);
    }
    let length = usize::try_from(length).unwrap();
    let (data, tail) = rest.split_at_checked(length).ok_or(None)?;
    *rest = tail;
    Ok(data.to_vec())
}

fn chunks(rest: &mut &[u8]) -> Read<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let size = line(rest)?;
        if size.is_empty() {
            continue;
        }
        match number(&size, 16) {
            Some((0, "")) => return Ok(all),
            Some((size, end)) if size >= 0 && (end.is_empty() || end.starts_with(' ')) => {
                let size = usize::try_from(size).unwrap();
                let (data, tail) = rest.split_at_checked(size).ok_or(None)?;
                all.extend_from_slice(data);
                *rest = tail;
            }
            _ => return Err(Some(413)),
        }
    }
}

/// C's `strtoll`: what it reads, and what it leaves.
fn number(text: &str, radix: u32) -> Option<(i64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\u{b}', '\u{c}', '\r']);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let digits = match unsigned.strip_prefix("0x").or(unsigned.strip_prefix("0X")) {
        Some(digits) if radix == 16 && digits.starts_with(|c: char| c.is_ascii_hexdigit()) => {
            digits
        }
        _ => unsigned,
    };
    let end = digits.trim_start_matches(|c: char| c.is_digit(radix));
    let digits = &digits[..digits.len() - end.len()];
    if digits.is_empty() {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    Some((sign * number, end))
}

/// The path as it is compared, and whether the target names a scheme.
fn path(target: &str) -> (Vec<u8>, bool) {
    let scheme = target.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    });
    let rest = scheme.map_or(target, |(_, rest)| rest);
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.find(['/', '?']).map_or("", |at| &rest[at..]),
        None => rest,
    };
    let path = decoded(path.split('?').next().unwrap());
    let compared = path.split(|byte| *byte == 0).next().unwrap();
    (compared.to_vec(), scheme.is_some())
}

/// A path without its percent escapes.
pub(super) fn decoded(path: &str) -> Vec<u8> {
    let (mut rest, mut decoded) = (path.as_bytes(), Vec::new());
    while let [first, tail @ ..] = rest {
        let escaped = tail.get(..2).filter(|_| *first == b'%');
        let escaped = escaped.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = escaped.map(|digits| {
            let digits = std::str::from_utf8(digits).unwrap();
            u8::from_str_radix(digits, 16).unwrap()
        });
        decoded.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    decoded
}
