//! Bodies that go past evhttp.

use super::super::*;

/// Takes the bodies of requests for `/stream`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Streaming {
    evhttp: Vec<u8>,
    body: Vec<u8>,
    ends: usize,
}

impl Sink for Streaming {
    fn evhttp(&mut self, bytes: &[u8]) {
        self.evhttp.extend_from_slice(bytes);
    }

    fn streams(&mut self, head: &Head<'_>) -> Option<u64> {
        (head.target == b"/stream").then_some(20)
    }

    fn body(&mut self, part: &[u8]) {
        self.body.extend_from_slice(part);
    }

    fn body_end(&mut self) {
        self.ends += 1;
    }
}

const LIMITS: Limits = Limits {
    header_size: 16 * 1024,
    body_size: 5,
};

const LENGTH: &str = "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n";
const CHUNKED: &str = "PUT /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const GET_ANEW: &str = "GET / HTTP/1.1\r\nHost:x\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nplain";

/// Passes a stream in parts; a body that waits is released after each.
fn streamed<'a>(parts: impl IntoIterator<Item = &'a str>) -> (Streaming, Gate) {
    let (mut out, mut gate) = (Streaming::default(), Gate::new(LIMITS));
    for part in parts {
        gate.pass(part.as_bytes(), &mut out);
        while gate.is_holding() {
            gate.release(&mut out);
        }
    }
    (out, gate)
}

#[test]
fn a_streamed_body_goes_past_evhttp_however_the_stream_is_cut() {
    let chunks = "3\r\nabc\r\n2 ;x=y\r\nde\r\n0\r\nT: x\r\n\r\n";
    let stream = [GET, LENGTH, "01234567", POST, CHUNKED, chunks, GET].concat();
    let (whole, gate) = streamed([&*stream]);
    let seen = [
        GET_ANEW,
        "POST /stream HTTP/1.1\r\nHost:x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost:x\r\nContent-Length:5\r\n\r\nplain",
        "PUT /stream HTTP/1.1\r\nHost:x\r\n\r\n",
        GET_ANEW,
    ];
    assert_eq!(String::from_utf8_lossy(&whole.evhttp), seen.concat());
    assert_eq!((&*whole.body, whole.ends), (&b"01234567abcde"[..], 2));
    assert_eq!(gate.progress().body_bytes, 18);
    for at in 0..stream.len() {
        for end in [at, at + 1, at + 9] {
            let end = end.min(stream.len());
            let parts = [&stream[..at], &stream[at..end], &stream[end..]];
            assert_eq!(streamed(parts).0, whole, "cut at {at} and {end}");
        }
    }
}

#[test]
fn what_follows_the_head_of_a_streamed_body_waits() {
    let (mut out, mut gate) = (Streaming::default(), Gate::new(LIMITS));
    gate.pass([LENGTH, "0123"].concat().as_bytes(), &mut out);
    gate.pass([b"4567", GET.as_bytes()].concat().as_slice(), &mut out);
    assert!(gate.is_holding() && out.body.is_empty());
    assert_eq!(gate.kept(), 8 + GET.len());
    assert_eq!(gate.progress().part, Part::None, "nothing has a deadline");
    gate.release(&mut out);
    assert_eq!((&*out.body, out.ends), (&b"01234567"[..], 1));
    assert!(out.evhttp.ends_with(GET_ANEW.as_bytes()));
    let streamed = Streamed {
        length: Some(8),
        expects_continue: false,
    };
    let passed = [gate.take_passed(), gate.take_passed(), gate.take_passed()];
    let streamed =
        passed.map(|passed| passed.map(|passed| passed.streamed) == Some(Some(streamed)));
    assert_eq!(streamed, [true, false, false]);
}

#[test]
fn a_streamed_body_has_a_limit_of_its_own() {
    let long = "POST /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 21\r\n\r\n";
    for stream in [long.to_owned(), POST.replace(": 5", ": 6")] {
        let (out, gate) = streamed([&*stream]);
        assert_eq!(out.evhttp, REFUSED_REQUEST);
        let status = gate.refusal().map(|(_, refusal)| refusal.status());
        assert_eq!(status, Some(Status::ContentTooLarge));
    }
    let (out, gate) = streamed([CHUNKED, "14\r\n01234567890123456789\r\n", "1\r\nx\r\n"]);
    assert_eq!((out.body.len(), out.ends), (20, 0));
    assert!(gate.refusal().is_some());
}

#[test]
fn evhttp_learns_of_a_refused_body_only_when_its_request_has_a_reply() {
    let (out, mut gate) = streamed([CHUNKED, "3\r\nabc\r\n"]);
    let (mut refused, mut dropped) = (Streaming::default(), Streaming::default());
    gate.pass(b"+\r\n", &mut refused);
    assert_eq!(refused, Streaming::default());
    assert!(gate.refusal().is_some() && out.body == b"abc");

    let (_, mut gate) = streamed([CHUNKED, "3\r\nabc\r\n"]);
    gate.drop_body();
    gate.pass(b"3\r\ndef\r\n+\r\n", &mut dropped);
    assert_eq!(
        (dropped.evhttp, dropped.body),
        (REFUSED_REQUEST.to_vec(), Vec::new())
    );
}

#[test]
fn a_dropped_body_ends_before_the_next_request() {
    let (_, mut gate) = streamed([LENGTH, "0123"]);
    let mut out = Streaming::default();
    gate.drop_body();
    gate.pass(["4567", GET].concat().as_bytes(), &mut out);
    assert_eq!((out.evhttp, out.ends), (GET_ANEW.as_bytes().to_vec(), 0));
}
