//! The response decoder: the same items however a response is cut, and those that a reader finds
//! that follows RFC 9112 line by line.

use http_framing::{
    INTERIM_RESPONSES_MAX, Limits, Method, ResponseBody, ResponseDecoder, ResponseError,
    ResponseItem, Version, is_field_value,
};

use crate::cuts::same_however_cut;
use crate::rfc::{self, ChunkRules, End};

pub(crate) const WORDS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\nConnection: close\r\n\r\nabc",
    b"HTTP/1.0 200\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 \r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"\r\n\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"\xff",
    b"999",
];

/// An item that owns its bytes; the parts of a body are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Interim(u16, Vec<(String, Vec<u8>)>),
    Head(u16, ResponseBody, bool, Vec<(String, Vec<u8>)>),
    Body(Vec<u8>),
    End,
    Refused,
}

/// What the decoder makes of a response that comes in parts and then ends.
pub(crate) fn decode(
    limits: Limits,
    request: Request,
    parts: &mut dyn Iterator<Item = &[u8]>,
) -> Vec<Got> {
    let mut decoder = ResponseDecoder::new(limits, request.method);
    if request.upgrade {
        decoder = decoder.with_upgrade();
    }
    let (mut kept, mut got) = (Vec::new(), Vec::new());
    for part in parts {
        kept.extend_from_slice(part);
        loop {
            let decoded = match decoder.decode(&kept) {
                Ok(decoded) => decoded,
                Err(error) => {
                    assert_eq!(decoder.decode(b"HTTP/1.1 200 OK\r\n\r\n"), Err(error));
                    assert_eq!(decoder.end_of_input(), Err(error));
                    got.push(Got::Refused);
                    return got;
                }
            };
            let used = decoded.used;
            assert!(used <= kept.len());
            match (decoded.item, got.last_mut()) {
                (ResponseItem::NeedMore, _) => {
                    kept.drain(..used);
                    break;
                }
                (ResponseItem::Interim(head), _) => {
                    got.push(Got::Interim(head.status, owned(head.fields)));
                }
                (ResponseItem::Head(head), _) => {
                    let fields = owned(head.fields);
                    got.push(Got::Head(head.status, head.body, head.keep_alive, fields));
                }
                (ResponseItem::Body(part), last) => match last {
                    Some(Got::Body(body)) => body.extend_from_slice(part),
                    _ => got.push(Got::Body(part.to_vec())),
                },
                (ResponseItem::End, _) => {
                    got.push(Got::End);
                    return got;
                }
            }
            kept.drain(..used);
        }
    }
    got.push(match decoder.end_of_input() {
        Ok(()) => Got::End,
        Err(ResponseError::Incomplete) => return got,
        Err(_) => Got::Refused,
    });
    got
}

fn owned<'a>(fields: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<(String, Vec<u8>)> {
    let owned = fields.map(|(name, value)| (name.to_owned(), value.to_vec()));
    owned.collect()
}

/// What of a request decides how its response is read.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) upgrade: bool,
}

/// What the RFC makes of a response.
fn read(limits: Limits, request: Request, stream: &[u8]) -> (Vec<Got>, End) {
    let mut got = Vec::new();
    let end = read_into(limits, request, stream, &mut got).unwrap_or_else(|end| end);
    match end {
        End::Complete => got.push(Got::End),
        End::Refused => got.push(Got::Refused),
        End::Open => {}
    }
    (got, end)
}

fn read_into(
    limits: Limits,
    request: Request,
    stream: &[u8],
    got: &mut Vec<Got>,
) -> Result<End, End> {
    let (mut rest, mut interim_bytes) = (stream, 0);
    loop {
        let lines = rfc::head(rest, limits.header_size)?;
        let (version, status) = status_line(lines.line).ok_or(End::Refused)?;
        let fields = lines.fields.iter().map(|(name, value)| {
            let name = str::from_utf8(name).expect("a token");
            (name.to_owned(), value.to_vec())
        });
        let fields = fields.collect();
        interim_bytes += rest.len() - lines.rest.len();
        rest = lines.rest;
        let is_upgraded = status == 101 && request.upgrade;
        if status < 200 && !is_upgraded {
            let count = got.len() + 1;
            let is_too_much =
                count > usize::from(INTERIM_RESPONSES_MAX) || interim_bytes > limits.header_size;
            if status == 101 || is_too_much {
                return Err(End::Refused);
            }
            got.push(Got::Interim(status, fields));
            continue;
        }
        let body = match request.method {
            Method::Head => ResponseBody::None,
            Method::Connect if status < 300 => ResponseBody::None,
            _ if [101, 204, 304].contains(&status) => ResponseBody::None,
            _ => match lines.length(version, limits.body_size)? {
                None => ResponseBody::UntilClose,
                Some(Some(length)) => ResponseBody::Length(length),
                Some(None) => ResponseBody::Chunked,
            },
        };
        let stays = !is_upgraded && body != ResponseBody::UntilClose;
        let keep_alive = lines.keep_alive(version)? && stays;
        got.push(Got::Head(status, body, keep_alive, fields));
        let (content, end) = content(limits, body, rest);
        if !content.is_empty() {
            got.push(Got::Body(content));
        }
        return Ok(end);
    }
}

/// §4, where the space before a missing reason may be missing, too.
fn status_line(line: &[u8]) -> Option<(Version, u16)> {
    let (version, rest) = line.split_at_checked(9)?;
    let version = match version {
        b"HTTP/1.1 " => Version::Http11,
        b"HTTP/1.0 " => Version::Http10,
        _ => return None,
    };
    let (digits, reason) = rest.split_at_checked(3)?;
    let status = rfc::number(digits).filter(|status| *status >= 100)?;
    let is_reason = match reason {
        [] => true,
        [b' ', reason @ ..] => is_field_value(reason),
        _ => false,
    };
    is_reason.then_some((version, u16::try_from(status).ok()?))
}

/// What has come of a body that begins with `rest`.
fn content(limits: Limits, body: ResponseBody, rest: &[u8]) -> (Vec<u8>, End) {
    let up_to =
        |most: u64| rest[..rest.len().min(usize::try_from(most).unwrap_or(usize::MAX))].to_vec();
    match body {
        ResponseBody::None => (Vec::new(), End::Complete),
        ResponseBody::Length(length) if rest.len() as u64 >= length => {
            (up_to(length), End::Complete)
        }
        ResponseBody::Length(_) => (rest.to_vec(), End::Open),
        ResponseBody::UntilClose if rest.len() as u64 <= limits.body_size => {
            (rest.to_vec(), End::Complete)
        }
        ResponseBody::UntilClose => (up_to(limits.body_size), End::Refused),
        ResponseBody::Chunked => {
            let rules = ChunkRules {
                limits,
                takes_late_fields: true,
            };
            let body = rfc::chunked(rest, rules);
            (body.content, body.end)
        }
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, stream)) = input.split_first() else {
        return;
    };
    let limits = if choice & 64 == 0 {
        Limits::default()
    } else {
        Limits {
            header_size: 64,
            body_size: 8,
        }
    };
    let request = Request {
        method: [Method::Get, Method::Head, Method::Connect][usize::from(choice % 3)],
        upgrade: choice & 128 != 0,
    };
    let stream = crate::requests::with_end(stream);
    let mut got = same_however_cut(&stream, |parts| decode(limits, request, parts));
    let (wanted, end) = read(limits, request, &stream);
    // A line may be refused before its end has come.
    if end == End::Open && got.last() == Some(&Got::Refused) {
        got.pop();
    }
    assert_eq!(got, wanted, "{}", stream.escape_ascii());
}
