//! The scan compared with httparse, a parser that others wrote: both read the same from a head.

use proptest::prelude::*;
use test_support::requests::nearly_a_request;

use crate::scan::{FieldLine, RequestLine};
use crate::{MAX_FIELDS, Method, Version};

/// A head: its length, its line, and its fields.
#[derive(Debug, PartialEq, Eq)]
struct Read<'a> {
    length: usize,
    method: Method,
    target: &'a str,
    version: Version,
    fields: Vec<(&'a [u8], &'a [u8])>,
}

/// What the scan reads; `None` for a head that is not whole or not well-formed.
fn scanned(window: &[u8]) -> Option<Read<'_>> {
    let line = RequestLine::read(window)?;
    let mut rest = line.rest;
    let mut fields = Vec::new();
    while !rest.starts_with(b"\r\n") && fields.len() <= MAX_FIELDS {
        let field = FieldLine::read(rest)?;
        fields.push((field.name, field.value));
        rest = field.rest;
    }
    (fields.len() <= MAX_FIELDS).then(|| Read {
        length: window.len() - rest.len() + 2,
        method: line.method,
        target: str::from_utf8(line.target).expect("a target is ASCII"),
        version: line.version,
        fields,
    })
}

/// What httparse reads, less what it takes and this crate does not: empty lines before the head,
/// lines that end in LF alone, and targets that are not ASCII.
fn parsed(window: &[u8]) -> Option<Read<'_>> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = request.parse(window) else {
        return None;
    };
    let target = request.path?;
    // To httparse, a CR that is not before an LF is a fault.
    let ends = window[..length].iter().filter(|byte| **byte == b'\r');
    let strict = ends.count() == request.headers.len() + 2
        && target.is_ascii()
        && window[0].is_ascii_graphic();
    let version = match request.version? {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let fields = request.headers.iter();
    strict.then(|| Read {
        length,
        method: Method::from_bytes(request.method.unwrap_or_default().as_bytes()),
        target,
        version,
        fields: fields
            .map(|field| (field.name.as_bytes(), field.value))
            .collect(),
    })
}

#[track_caller]
fn same(window: &[u8]) {
    assert_eq!(scanned(window), parsed(window), "{}", window.escape_ascii());
}

/// Calls [`same`] with what comes of `head` when a byte is replaced, inserted or removed, or it
/// ends early.
fn same_when_spoilt(head: &[u8], bytes: impl Iterator<Item = u8> + Clone) {
    same(head);
    for at in 0..head.len() {
        same(&head[..at]);
        same(&[&head[..at], &head[at + 1..]].concat());
        for byte in bytes.clone() {
            same(&[&head[..at], &[byte], &head[at + 1..]].concat());
            same(&[&head[..at], &[byte], &head[at..]].concat());
        }
    }
}

#[test]
fn any_byte_at_any_place_of_a_head_gives_what_httparse_gives() {
    for head in [
        "GET /path?query HTTP/1.1\r\nHost: 127.0.0.1:9999\r\nUser-Agent:\t a b \r\nX_1:\r\n\r\n",
        "M-SEARCH * HTTP/1.0\r\n\r\nGET",
    ] {
        same_when_spoilt(head.as_bytes(), 0..=u8::MAX);
    }
}

/// The lengths bring every byte of a line to every place of a word and of a block.
#[test]
fn names_and_values_of_any_length_give_what_httparse_gives() {
    let bytes = b"\0\t\n\r\x1f !-/09:@AZ[`az{~\x7f\x80\xa0\xad\xff";
    for length in 0..36_usize {
        let name = &"An-ordinary-name-of-a-field-or-longer"[..length.div_ceil(2)];
        let value = &"gzip, deflate; q=0.9, \"quoted\" (text)"[..length];
        for end in ["\r\n\r\n", "\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n"] {
            let head = format!("GET / HTTP/1.1\r\n{name}: {value}{end}");
            same_when_spoilt(head.as_bytes(), bytes.iter().copied());
        }
    }
}

proptest! {
    #[test]
    fn a_request_that_may_be_spoilt_gives_what_httparse_gives(bytes in nearly_a_request()) {
        prop_assert_eq!(scanned(&bytes), parsed(&bytes), "{}", bytes.escape_ascii());
    }
}
