//! What a head says, and which bytes it may have. The table in `tests/http_cases` has what is refused.

use super::*;
use crate::tests::{Got, decode};
use crate::{Decoder, Item};

/// `head` with `\r\n` after each line and the empty line at its end.
fn head(lines: &[&str]) -> Vec<u8> {
    let mut bytes = lines.join("\r\n").into_bytes();
    bytes.extend_from_slice(b"\r\n\r\n");
    bytes
}

#[track_caller]
fn accepted<T>(bytes: &[u8], take: impl FnOnce(Head<'_>) -> T) -> T {
    match Decoder::new(Limits::default()).decode(bytes) {
        Ok(decoded) if decoded.used == bytes.len() => match decoded.item {
            Item::Head(head) => take(head),
            item => panic!("{} gave {item:?}", bytes.escape_ascii()),
        },
        other => panic!("{} gave {other:?}", bytes.escape_ascii()),
    }
}

/// A head whose fields besides `Host` are `fields`.
fn with(fields: &[&str]) -> Vec<u8> {
    let mut lines = vec!["POST / HTTP/1.1", "Host: x"];
    lines.extend(fields);
    head(&lines)
}

#[test]
fn a_head_says_what_its_line_says() {
    for (line, method, target, version) in [
        ("GET / HTTP/1.1", Method::Get, "/", Version::Http11),
        (
            "HEAD /a?b=c HTTP/1.0",
            Method::Head,
            "/a?b=c",
            Version::Http10,
        ),
        ("POST //x HTTP/1.1", Method::Post, "//x", Version::Http11),
        (
            "PUT /%00|{}\"<> HTTP/1.1",
            Method::Put,
            "/%00|{}\"<>",
            Version::Http11,
        ),
        (
            "DELETE http://x HTTP/1.1",
            Method::Delete,
            "http://x",
            Version::Http11,
        ),
        (
            "GET HTTPS://x:1?y HTTP/1.1",
            Method::Get,
            "HTTPS://x:1?y",
            Version::Http11,
        ),
        ("OPTIONS * HTTP/1.1", Method::Options, "*", Version::Http11),
        ("OPTIONS / HTTP/1.1", Method::Options, "/", Version::Http11),
        ("TRACE / HTTP/1.1", Method::Trace, "/", Version::Http11),
        ("PATCH / HTTP/1.1", Method::Patch, "/", Version::Http11),
        ("get / HTTP/1.1", Method::Other, "/", Version::Http11),
        (
            "!#$%&'*+-.^_`|~09 / HTTP/1.1",
            Method::Other,
            "/",
            Version::Http11,
        ),
    ] {
        accepted(&head(&[line, "Host: x"]), |head| {
            assert_eq!(
                (head.method, head.target_str(), head.version),
                (method, target, version)
            );
            assert_eq!(head.body, BodyLength::None);
        });
    }
}

/// Every byte at every offset a vectored search may treat apart.
#[test]
fn every_byte_is_taken_or_refused_by_its_kind_wherever_it_stands() {
    for byte in 0..=u8::MAX {
        for at in 0..70 {
            let mut filler = vec![b'a'; 70];
            filler[at] = byte;
            let taken = |before: &str, after: &str| {
                let bytes = [before.as_bytes(), &filler, after.as_bytes()].concat();
                !matches!(decode(&bytes).as_slice(), [Got::Refused(_)])
            };
            let place = format!("byte {byte:#x} at {at}");
            let value = byte == b'\t' || byte >= b' ' && byte != 0x7f;
            assert_eq!(
                taken("GET / HTTP/1.1\r\nHost: x\r\nA: ", "\r\n\r\n"),
                value,
                "value, {place}"
            );
            let name = syntax::is_token_byte(byte) || byte == b':' && at > 0;
            assert_eq!(
                taken("GET / HTTP/1.1\r\nHost: x\r\n", ": b\r\n\r\n"),
                name,
                "name, {place}"
            );
            let target = byte.is_ascii_graphic() && byte != b'#';
            assert_eq!(
                taken("GET /", " HTTP/1.1\r\nHost: x\r\n\r\n"),
                target,
                "target, {place}"
            );
            let method = syntax::is_token_byte(byte);
            assert_eq!(
                taken("", " / HTTP/1.1\r\nHost: x\r\n\r\n"),
                method,
                "method, {place}"
            );
        }
    }
}

#[test]
fn a_length_of_plain_digits_is_that_of_the_body() {
    for (value, length) in [
        ("0", 0),
        ("000", 0),
        ("42", 42),
        ("0000000000000000000000001048576", 1 << 20),
    ] {
        let body = accepted(&with(&[&format!("Content-Length: {value} ")]), |head| {
            head.body
        });
        assert_eq!(body, BodyLength::Length(length));
    }
}

#[test]
fn a_client_waits_for_100_continue_where_a_body_of_http_1_1_follows() {
    let length = "Content-Length: 1";
    let waits = |fields: &[&str]| accepted(&with(fields), |head| head.expects_continue);
    assert!(waits(&["Expect: 100-Continue", length]));
    assert!(waits(&[
        "Expect: 100-continue",
        "Transfer-Encoding: chunked"
    ]));
    assert!(!waits(&["Expect: 100-continue"]));
    assert!(!waits(&["Expect: 100-continue", "Content-Length: 0"]));
    let old = head(&["POST / HTTP/1.0", "Expect: 100-continue", length]);
    assert!(!accepted(&old, |head| head.expects_continue));
    let unknown = head(&["POST / HTTP/1.0", "Expect: tea", length]);
    assert!(!accepted(&unknown, |head| head.expects_continue));
}
