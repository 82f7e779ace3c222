//! The chunk decoder, compared with a reader of whole bodies that follows RFC 9112 §7.1 line by
//! line.

use http_framing::{Decoder, Item, Limits, MAX_FIELDS, is_field_value, is_token};

use crate::cuts::same_however_cut;

pub(crate) const WORDS: &[&[u8]] = &[
    b"5\r\nhello\r\n",
    b"0000000000000005\r\nhello\r\n",
    b"00000000000000005\r\nhello\r\n",
    b"5",
    b"00a\r\n0123456789\r\n",
    b"A;b\r\n0123456789\r\n",
    b"1 ;a = \"\\\"\" ; c=d\r\nx\r\n",
    b"0",
    b"0\r\n\r\n",
    b"0;x\r\n",
    b"A: b\r\n",
    b"A : b\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b";",
    b"=",
    b"\"",
    b"\\",
    b" ",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xe9",
    b"0000000000000000",
    b"ffffffffffffffff",
    b"10000000000000000",
    b"g",
];

const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";

const LIMITS: Limits = Limits {
    header_size: 512,
    body_size: 4096,
};

/// What a chunked body is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Body {
    /// Its content, and its length with the framing.
    Complete(Vec<u8>, usize),
    /// What has come of it.
    Open(Vec<u8>),
    Refused,
}

/// By the decoder.
fn decoded(parts: &mut dyn Iterator<Item = &[u8]>) -> Body {
    let mut decoder = Decoder::new(LIMITS);
    let head = decoder.decode(HEAD).map(|decoded| decoded.used);
    assert_eq!(head, Ok(HEAD.len()));
    let (mut kept, mut content, mut all) = (Vec::new(), Vec::new(), 0);
    for part in parts {
        kept.extend_from_slice(part);
        loop {
            let Ok(decoded) = decoder.decode(&kept) else {
                return Body::Refused;
            };
            let used = decoded.used;
            all += used;
            match decoded.item {
                Item::Body(part) => content.extend_from_slice(part),
                Item::End => return Body::Complete(content, all),
                Item::NeedMore => {
                    kept.drain(..used);
                    break;
                }
                Item::Head(_) => panic!("a head inside a body"),
            }
            kept.drain(..used);
        }
    }
    Body::Open(content)
}

/// By the RFC, once whole lines are there.
fn read(input: &[u8]) -> Body {
    let (mut rest, mut content, mut extension_bytes) = (input, Vec::new(), 0);
    loop {
        let Some(line) = line(&mut rest) else {
            return Body::Open(content);
        };
        let Some(size) = line.and_then(|line| size(line, &mut extension_bytes)) else {
            return Body::Refused;
        };
        if size == 0 {
            return match trailers(&mut rest) {
                Some(true) => Body::Complete(content, input.len() - rest.len()),
                Some(false) => Body::Refused,
                None => Body::Open(content),
            };
        }
        if content.len() as u64 + size > LIMITS.body_size {
            return Body::Refused;
        }
        let size = usize::try_from(size).expect("within the limit");
        let Some((data, tail)) = rest.split_at_checked(size) else {
            content.extend_from_slice(rest);
            return Body::Open(content);
        };
        content.extend_from_slice(data);
        rest = match tail {
            [b'\r', b'\n', tail @ ..] => tail,
            [] | [b'\r'] => return Body::Open(content),
            _ => return Body::Refused,
        };
    }
}

/// A line without its CR LF: `None` while its end is missing, `Some(None)` for a bare LF.
fn line<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let at = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, tail) = rest.split_at(at);
    *rest = &tail[1..];
    Some(line.strip_suffix(b"\r"))
}

/// The number in a size line whose extensions are well-formed.
fn size(line: &[u8], extension_bytes: &mut usize) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let (digits, extensions) = line.split_at(digits.count());
    *extension_bytes += extensions.len();
    if digits.is_empty() || digits.len() > 16 || *extension_bytes > 4096 {
        return None;
    }
    let mut rest = extensions;
    while !rest.is_empty() {
        rest = white(rest).strip_prefix(b";")?;
        rest = token(white(rest))?;
        if let Some(value) = white(rest).strip_prefix(b"=") {
            let value = white(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => after_quoted(quoted)?,
                None => token(value)?,
            };
        }
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

fn white(bytes: &[u8]) -> &[u8] {
    let count = bytes.iter().take_while(|byte| b" \t".contains(byte));
    &bytes[count.count()..]
}

/// What follows a token.
fn token(bytes: &[u8]) -> Option<&[u8]> {
    let length = bytes.iter().take_while(|byte| is_token(&[**byte])).count();
    (length > 0).then(|| &bytes[length..])
}

/// What follows a quoted string, whose first quote is not there any more.
fn after_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b'"', tail @ ..] => return Some(tail),
            [b'\\', byte, tail @ ..] | [byte, tail @ ..]
                if is_field_value(&[b'x', *byte, b'x']) =>
            {
                tail
            }
            _ => return None,
        };
    }
}

/// Whether the trailer fields are well-formed; `None` while their end is missing.
fn trailers(rest: &mut &[u8]) -> Option<bool> {
    let (mut count, start) = (0, rest.len());
    loop {
        let Some(line) = line(rest)? else {
            return Some(false);
        };
        if start - rest.len() > LIMITS.header_size {
            return Some(false);
        }
        if line.is_empty() {
            return Some(true);
        }
        count += 1;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Some(false);
        };
        let (name, value) = line.split_at(colon);
        let value = value[1..].trim_ascii();
        if count > MAX_FIELDS || !is_token(name) || !is_field_value(value) {
            return Some(false);
        }
    }
}

pub(crate) fn run(input: &[u8]) {
    let body = same_however_cut(input, decoded);
    let wanted = read(input);
    let agree = match (&body, &wanted) {
        // A line may be refused before its end has come.
        (Body::Refused, Body::Open(_)) => true,
        (one, other) => one == other,
    };
    assert!(agree, "{body:?}, not {wanted:?}: {}", input.escape_ascii());
}
