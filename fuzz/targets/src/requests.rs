//! The request decoder: the same items however a stream is cut, and those that a reader finds that
//! follows RFC 9112 line by line.

use std::net::Ipv6Addr;

use http_framing::{
    BodyLength, Decoder, Head, Item, LEADING_EMPTY_LINES_MAX, Limits, Method, REQUEST_LINE_MAX,
    Refusal, RequestHead, Version, is_token,
};

use crate::cuts::same_however_cut;
use crate::rfc::{self, ChunkRules, End};

pub(crate) const WORDS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HEAD //a HTTP/1.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"CONNECT x:1 HTTP/1.1\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length:",
    b"Transfer-Encoding: chunked\r\n\r\n",
    b"Transfer-Encoding:\tx, chunked\r\n",
    b"5;a=\"b\"\r\nhello\r\n",
    b"1\r\nx\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x\r\n",
    b"Expect: 100-continue\r\n",
    b"Host: y\r\n",
    b"GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: [::1]:80\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: %41\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 27\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nConnection: x, close\r\n\r\n",
    b"~",
    b"http://h:80/p?q",
    b"/%00",
    b"?%00",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"\xff",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"ffffffffffffffff\r\n",
    b"18446744073709551616",
];

/// A request, its body in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) head: Owned,
    pub(crate) body: Vec<u8>,
    pub(crate) complete: bool,
}

/// A [`Head`] that owns its target, and the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) body: BodyLength,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Owned {
    /// `bytes` are those that the decoder has used for the head.
    fn new(head: Head<'_>, bytes: &[u8]) -> Self {
        let lines = RequestHead::read(bytes).expect("a head that was accepted");
        assert_eq!(Method::from_bytes(lines.method.as_bytes()), head.method);
        assert_eq!(lines.target, head.target_str());
        assert_eq!(lines.version, head.version);
        Self {
            method: head.method,
            target: head.target_str().to_owned(),
            version: head.version,
            body: head.body,
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
            fields: owned(lines.fields.map(|(name, value)| (name.as_bytes(), value))),
        }
    }
}

fn owned<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let owned = fields.map(|(name, value)| (name.to_vec(), value.to_vec()));
    owned.collect()
}

/// What a decoder makes of a stream that comes in parts: requests, and a refusal.
pub(crate) fn decode(
    limits: Limits,
    parts: &mut dyn Iterator<Item = &[u8]>,
) -> (Vec<Got>, Option<Refusal>) {
    let (mut decoder, mut kept, mut got) = (Decoder::new(limits), Vec::new(), Vec::<Got>::new());
    for part in parts {
        kept.extend_from_slice(part);
        loop {
            let before = decoder.phase();
            let decoded = match decoder.decode(&kept) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    assert_eq!(decoder.decode(b"GET / HTTP/1.1\r\n"), Err(refusal));
                    return (got, Some(refusal));
                }
            };
            assert!(decoded.used <= kept.len());
            let progress = decoded.used > 0 || decoder.phase() != before;
            let used = decoded.used;
            match (decoded.item, got.last_mut()) {
                (Item::NeedMore, _) => {
                    kept.drain(..used);
                    break;
                }
                (Item::Head(head), last) => {
                    assert!(last.is_none_or(|last| last.complete), "two heads");
                    got.push(Got {
                        head: Owned::new(head, &kept[..used]),
                        body: Vec::new(),
                        complete: false,
                    });
                }
                (Item::Body(part), Some(last)) => {
                    assert!(!part.is_empty() && !last.complete);
                    last.body.extend_from_slice(part);
                }
                (Item::End, Some(last)) => last.complete = true,
                (item, None) => panic!("{item:?} without a head"),
            }
            assert!(progress, "no progress");
            kept.drain(..used);
        }
    }
    assert!(kept.len() < limits.header_size.max(2), "too much is kept");
    (got, None)
}

/// With the end of a head: a fault in a part of one may be seen only then.
pub(crate) fn with_end(input: &[u8]) -> Vec<u8> {
    [input, b"\r\n\r\n"].concat()
}

/// What the RFC makes of a stream.
fn read(limits: Limits, stream: &[u8]) -> (Vec<Got>, End) {
    let (mut rest, mut got) = (stream, Vec::new());
    loop {
        match read_one(limits, &mut rest, &mut got) {
            Ok(()) => {}
            Err(end) => return (got, end),
        }
    }
}

/// Takes one request off the front of `rest`.
fn read_one(limits: Limits, rest: &mut &[u8], got: &mut Vec<Got>) -> Result<(), End> {
    let mut empty_lines = 0;
    while let Some(after) = rest.strip_prefix(b"\r\n") {
        *rest = after;
        empty_lines += 1;
    }
    if empty_lines > LEADING_EMPTY_LINES_MAX {
        return Err(End::Refused);
    }
    if matches!(rest, [] | [b'\r']) {
        return Err(End::Open);
    }
    let lines = rfc::head(rest, limits.header_size)?;
    if lines.line.len() + 2 > REQUEST_LINE_MAX {
        return Err(End::Refused);
    }
    let head = meaning(&lines, limits)?;
    *rest = lines.rest;
    let length = head.body;
    got.push(Got {
        head,
        body: Vec::new(),
        complete: false,
    });
    let (content, used, end) = match length {
        BodyLength::None => (Vec::new(), 0, End::Complete),
        BodyLength::Length(length) => {
            let length = usize::try_from(length).expect("within the limit");
            let content = &rest[..length.min(rest.len())];
            let end = if content.len() == length {
                End::Complete
            } else {
                End::Open
            };
            (content.to_vec(), length, end)
        }
        BodyLength::Chunked => {
            let rules = ChunkRules {
                limits,
                takes_late_fields: false,
            };
            let body = rfc::chunked(rest, rules);
            (body.content, body.used, body.end)
        }
    };
    if let Some(last) = got.last_mut() {
        last.body = content;
        last.complete = end == End::Complete;
    }
    match end {
        End::Complete => {
            *rest = &rest[used..];
            Ok(())
        }
        End::Open | End::Refused => Err(end),
    }
}

/// §3, §6 and §9, and what of RFC 9110 decides about the rest of the stream.
fn meaning(lines: &rfc::Head<'_>, limits: Limits) -> Result<Owned, End> {
    let line = str::from_utf8(lines.line).map_err(|_| End::Refused)?;
    let words: Vec<&str> = line.split(' ').collect();
    let &[name, target, version] = words.as_slice() else {
        return Err(End::Refused);
    };
    let method = Method::from_bytes(name.as_bytes());
    let version = match version {
        "HTTP/1.1" => Version::Http11,
        "HTTP/1.0" => Version::Http10,
        _ => return Err(End::Refused),
    };
    if !is_token(name.as_bytes()) || !is_target(method, target) {
        return Err(End::Refused);
    }
    match (lines.once("Host")?, version) {
        (None, Version::Http10) => {}
        (Some(host), _) if is_authority(host) => {}
        _ => return Err(End::Refused),
    }
    let body = match lines.length(version, limits.body_size)? {
        None => BodyLength::None,
        Some(Some(length)) => BodyLength::Length(length),
        Some(None) => BodyLength::Chunked,
    };
    let expects = match (lines.once("Expect")?, version) {
        (Some(what), Version::Http11) if what.eq_ignore_ascii_case(b"100-continue") => true,
        (Some(_), Version::Http11) => return Err(End::Refused),
        _ => false,
    };
    Ok(Owned {
        method,
        target: target.to_owned(),
        version,
        body,
        keep_alive: lines.keep_alive(version)?,
        expects_continue: expects && !body.is_empty(),
        fields: owned(lines.fields.iter().copied()),
    })
}

/// §3.2: a path, a URI of http or https, or `*` for `OPTIONS`.
fn is_target(method: Method, target: &str) -> bool {
    let is_visible = target.bytes().all(|byte| byte.is_ascii_graphic());
    if target.is_empty() || !is_visible || target.contains('#') || method == Method::Connect {
        return false;
    }
    if target.starts_with('/') {
        return true;
    }
    if target == "*" {
        return method == Method::Options;
    }
    let small = target.to_ascii_lowercase();
    let scheme = ["http://", "https://"].into_iter();
    let mut rest = scheme.filter_map(|scheme| small.strip_prefix(scheme));
    rest.next().is_some_and(|rest| {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        is_authority(&rest.as_bytes()[..end])
    })
}

/// `uri-host [ ":" port ]` with a host that is not empty and has no comma.
fn is_authority(bytes: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(bytes) else {
        return false;
    };
    let (is_host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        (address.parse::<Ipv6Addr>().is_ok(), port)
    } else {
        let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
        (is_name(name), port)
    };
    let is_port = match port.strip_prefix(':') {
        None => port.is_empty(),
        Some("") => true,
        Some(digits) => rfc::number(digits.as_bytes()).is_some_and(|port| port < 1 << 16),
    };
    is_host && is_port
}

/// RFC 3986 §3.2.2: `reg-name`.
fn is_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, tail @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                tail
            }
            (byte, tail) if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte) => {
                tail
            }
            _ => return false,
        };
    }
    !name.is_empty()
}

pub(crate) fn run(input: &[u8]) {
    let limits = match input.first() {
        Some(b'~') => Limits {
            header_size: 64,
            body_size: 8,
        },
        _ => Limits::default(),
    };
    let stream = with_end(input.strip_prefix(b"~").unwrap_or(input));
    let (got, is_refused) = same_however_cut(&stream, |parts| {
        // Of two faults in one line, either may be the reason.
        let (got, refusal) = decode(limits, parts);
        (got, refusal.is_some())
    });
    let (wanted, end) = read(limits, &stream);
    assert_eq!(got, wanted, "{}", stream.escape_ascii());
    // A line may be refused before its end has come.
    let agree = end == End::Open || is_refused == (end == End::Refused);
    assert!(agree, "{end:?}, {is_refused}: {}", stream.escape_ascii());
}
