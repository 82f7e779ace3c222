//! Random HTTP/1.1 requests, well-formed and spoilt, for property tests.

use proptest::prelude::*;

/// A well-formed `POST`, and what a decoder must make of it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The request as it is sent.
    pub bytes: Vec<u8>,
    /// The request target.
    pub target: String,
    /// How the body's length is told.
    pub framing: Framing,
    /// The body without its framing.
    pub content: Vec<u8>,
    /// Whether the request asks for the connection to be closed.
    pub close: bool,
    /// Whether it has `Expect: 100-continue`.
    pub expects_continue: bool,
}

/// How a request tells the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// It has no body.
    None,
    /// By `Content-Length`.
    Length,
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// A well-formed request with or without a body.
pub fn request() -> impl Strategy<Value = Request> {
    let target = prop_oneof![
        Just("/".to_owned()),
        "/[a-z0-9/?&=%~]{0,80}",
        "http://[a-z]{1,9}(:[0-9]{1,4})?/[a-z]{0,9}"
    ];
    let fields = prop::collection::vec(("X-[A-Za-z0-9]{1,12}", "[ -~\u{e9}\t]{0,40}"), 0..6);
    let chunks = prop::collection::vec(
        (
            prop::collection::vec(any::<u8>(), 1..40),
            "([ \t]?;[a-z]{1,3}( ?= ?([a-z]{1,5}|\"[a-z\t ]{0,5}\"))?)?",
        ),
        0..5,
    );
    let body = prop_oneof![
        Just(None),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|body| Some(Ok(body))),
        (
            chunks,
            prop::collection::vec("X-[a-z]{1,5}: [a-z ]{0,20}\r\n", 0..3)
        )
            .prop_map(|chunks| Some(Err(chunks))),
    ];
    (
        0..3usize,
        target,
        fields,
        body,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(empty_lines, target, fields, body, close, waits)| {
            let mut bytes = b"\r\n".repeat(empty_lines);
            bytes.extend(format!("POST {target} HTTP/1.1\r\nhOST: x\r\n").bytes());
            for (name, value) in fields {
                bytes.extend(format!("{name}:{value}\r\n").bytes());
            }
            if close {
                bytes.extend(b"Connection: x, Close\r\n");
            }
            if waits {
                bytes.extend(b"Expect: 100-Continue\r\n");
            }
            let (framing, content) = match body {
                None => {
                    bytes.extend(b"\r\n");
                    (Framing::None, Vec::new())
                }
                Some(Ok(content)) => {
                    bytes.extend(format!("Content-Length: {}\r\n\r\n", content.len()).bytes());
                    bytes.extend(&content);
                    (Framing::Length, content)
                }
                Some(Err((chunks, trailers))) => {
                    bytes.extend(b"Transfer-Encoding: Chunked\r\n\r\n");
                    let mut content = Vec::new();
                    for (chunk, extension) in chunks {
                        bytes.extend(format!("{:X}{extension}\r\n", chunk.len()).bytes());
                        bytes.extend(&chunk);
                        bytes.extend(b"\r\n");
                        content.extend(chunk);
                    }
                    bytes.extend(format!("000\r\n{}\r\n", trailers.concat()).bytes());
                    (Framing::Chunked, content)
                }
            };
            Request {
                bytes,
                target,
                framing,
                content,
                close,
                expects_continue: waits,
            }
        })
}

/// Bytes that look like a request, with a few spoilt.
pub fn nearly_a_request() -> impl Strategy<Value = Vec<u8>> {
    let spoilt = prop::collection::vec(
        (
            any::<prop::sample::Index>(),
            prop_oneof![
                any::<u8>(),
                Just(b'\r'),
                Just(b'\n'),
                Just(b' '),
                Just(b':')
            ],
        ),
        0..4,
    );
    (request(), spoilt).prop_map(|(Request { mut bytes, .. }, spoilt)| {
        for (at, byte) in spoilt {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}
