//! What holds for any stream.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use test_support::requests::{nearly_a_request, request};

/// White space that may stand around a value.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\t", " \t "])
}

/// A request of parts on which readers differ, most of the time valid.
fn messy() -> impl Strategy<Value = Vec<u8>> {
    let methods = [
        "GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "PROPFIND", "CONNECT",
    ];
    let targets = [
        "/",
        "/a?b",
        "//x/y",
        "///",
        "/%41%00",
        "/?%00",
        "http://h/p",
        "http://h",
        "*",
    ];
    let fields = [
        "connection: close",
        "Connection:\tkeep-alive, x",
        "Connection: x, close",
        "Connection: Keep-Alive",
        "Expect:\t100-continue",
        "Expect: tea",
        "A : b",
        "A: b\r\n c",
        "A: \t b\t",
        "Host: y",
        "Host:x",
        "Proxy-Connection: keep-alive",
        "Content-Length: 3",
        "Transfer-Encoding: x, chunked",
    ];
    let bodies = ["", "abc", "0\r\n\r\n", GOOD];
    let sizes = ["", "", "", "0", "000", "+", "0x", " "];
    let ends = ["", "", "", ";a=b", " ", "\n"];
    let trailers = [
        "",
        "",
        "A: b\r\n",
        "Connection: close\r\n",
        "A : b\r\n",
        "Host: x\r\n",
    ];
    let chunk = (
        select(sizes.to_vec()),
        select(bodies[1..].to_vec()),
        select(ends.to_vec()),
    );
    let chunks = (
        prop::collection::vec(chunk, 0..3),
        select(trailers.to_vec()),
    );
    (
        (
            select(methods.to_vec()),
            select(targets.to_vec()),
            select(vec!["1.1", "1.1", "1.0"]),
        ),
        prop::collection::vec(select(fields.to_vec()), 0..3),
        (0..3u8, select(bodies.to_vec()), chunks),
        (space(), space()),
    )
        .prop_map(
            |((method, target, version), fields, (kind, body, (chunks, trailer)), (one, two))| {
                let mut request = head(&format!("{method} {target} HTTP/{version}"), &fields);
                request.truncate(request.len() - 2);
                match kind {
                    0 => request += "\r\n",
                    1 => {
                        request += &format!("Content-Length:{one}{}{two}\r\n\r\n{body}", body.len())
                    }
                    _ => {
                        request += &format!("Transfer-Encoding:{one}chunked{two}\r\n\r\n");
                        for (start, chunk, end) in chunks {
                            request += &format!("{start}{:x}{end}\r\n{chunk}\r\n", chunk.len());
                        }
                        request += &format!("0\r\n{trailer}\r\n");
                    }
                }
                request.into_bytes()
            },
        )
}

/// A few requests, some spoilt.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let valid = request().prop_map(|request| request.bytes);
    let request = prop_oneof![2 => valid, 2 => messy(), 1 => nearly_a_request()];
    prop::collection::vec(request, 1..4).prop_map(|requests| requests.concat())
}

proptest! {
    #[test]
    fn evhttp_reads_behind_the_gate_what_the_codec_reads_before_it(stream in stream()) {
        prop_assert_eq!(seen([stream.as_slice()]), meant(&stream));
    }

    #[test]
    fn the_same_goes_on_however_a_stream_is_cut(
        mut stream in stream(),
        sizes in prop::collection::vec(1..60usize, 0..60),
    ) {
        // The end of a head, for a fault in a part may wait for it.
        stream.extend(b"\r\n\r\n");
        let (mut parts, mut rest) = (Vec::new(), stream.as_slice());
        for size in sizes {
            parts.extend(rest.split_off(..size.min(rest.len())));
        }
        parts.push(rest);
        let (out, refusal) = gated([stream.as_slice()]);
        for (cut, its_refusal) in [gated(parts), gated(stream.chunks(1))] {
            prop_assert_eq!(its_refusal.is_some(), refusal.is_some());
            // Chunks are cut otherwise.
            prop_assert_eq!(evhttp(&cut), evhttp(&out));
            if !out.windows(9).any(|word| word == b":chunked\r") {
                prop_assert_eq!(&cut, &out);
            }
        }
    }

    #[test]
    fn what_went_on_goes_on_once_more_as_it_is(stream in stream()) {
        let (out, refusal) = gated([stream.as_slice()]);
        if refusal.is_none() {
            prop_assert_eq!(gated([out.as_slice()]), (out, None));
        }
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic_and_within_bounds(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..300), stream()],
        size in 1..40usize,
        header_size in 0..400usize,
        body_size in 0..300u64,
    ) {
        let mut gate = Gate::new(Limits { header_size, body_size });
        for part in bytes.chunks(size) {
            gate.pass(part, &mut |_: &[u8]| {});
            prop_assert!(gate.kept.len() < header_size.max(2));
        }
    }
}
