//! The request decoder: the same items however a stream is cut.

use http_framing::{BodyLength, Decoder, Head, Item, Limits, Refusal};

use crate::cuts::same_however_cut;

pub(crate) const WORDS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: x\r\n",
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

/// A [`Head`] that owns its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) method: http_framing::Method,
    pub(crate) target: String,
    pub(crate) version: http_framing::Version,
    pub(crate) body: BodyLength,
    pub(crate) keep_alive: bool,
    pub(crate) expects_continue: bool,
}

impl From<Head<'_>> for Owned {
    fn from(head: Head<'_>) -> Self {
        Self {
            method: head.method,
            target: head.target_str().to_owned(),
            version: head.version,
            body: head.body,
            keep_alive: head.keep_alive,
            expects_continue: head.expects_continue,
        }
    }
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
                        head: head.into(),
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

pub(crate) fn run(input: &[u8]) {
    let limits = match input.first() {
        Some(b'~') => Limits {
            header_size: 64,
            body_size: 8,
        },
        _ => Limits::default(),
    };
    let stream = with_end(input.strip_prefix(b"~").unwrap_or(input));
    let (got, _) = same_however_cut(&stream, |parts| {
        // Of two faults in one line, either may be the reason.
        let (got, refusal) = decode(limits, parts);
        (got, refusal.is_some())
    });
    for got in got.iter().filter(|got| got.complete) {
        assert!(got.body.len() as u64 <= limits.body_size);
        match got.head.body {
            BodyLength::None => assert!(got.body.is_empty()),
            BodyLength::Length(length) => assert_eq!(got.body.len() as u64, length),
            BodyLength::Chunked => {}
        }
    }
}
