//! The gate alone, and what a model of evhttp makes of what it lets on.

mod evhttp;
mod properties;
mod streams;

use self::evhttp::{Seen, decoded, evhttp, fields_of_the_first};
use super::*;

const LIMITS: Limits = Limits {
    header_size: 16 * 1024,
    body_size: u64::MAX,
};

const GOOD: &str = "GET /good HTTP/1.1\r\nHost: x\r\n\r\n";
const GOOD_ANEW: &str = "GET /good HTTP/1.1\r\nHost:x\r\n\r\n";

/// What goes on of a stream that comes in `parts`, and why it ended.
fn gated<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<Refusal>) {
    let (mut gate, mut out) = (Gate::new(LIMITS), Vec::new());
    for part in parts {
        gate.pass(part, &mut |bytes: &[u8]| out.extend_from_slice(bytes));
        assert!(gate.kept.len() < LIMITS.header_size);
    }
    (out, gate.refusal().map(|(_, refusal)| *refusal))
}

/// What a client of evhttp behind the gate sees of a stream that comes in `parts`.
fn seen<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Seen> {
    let (mut gate, mut out) = (Gate::new(LIMITS), Vec::new());
    for part in parts {
        gate.pass(part, &mut |bytes: &[u8]| out.extend_from_slice(bytes));
    }
    let mut seen = evhttp(&out);
    let refused = gate.refusal().map(|(code, _)| code);
    for one in seen.iter_mut().filter(|one| **one == Seen::Refused) {
        *one = Seen::Status(refused.unwrap());
    }
    seen
}

/// What goes on of a stream that comes in one piece.
fn whole(stream: &[u8]) -> Vec<u8> {
    gated([stream]).0
}

/// What evhttp is to make of a stream, by the codec's reading of it.
fn meant(stream: &[u8]) -> Vec<Seen> {
    let mut decoder = Decoder::new(Limits {
        body_size: isize::MAX as u64,
        ..LIMITS
    });
    let (mut rest, mut seen, mut open) = (stream, Vec::new(), None);
    loop {
        let decoded = match decoder.decode(rest) {
            Ok(decoded) => decoded,
            Err(refusal) => {
                seen.push(Seen::Status(match refusal.status().code() {
                    code @ (413 | 417) => code,
                    _ => 400,
                }));
                return seen;
            }
        };
        rest = &rest[decoded.used..];
        match decoded.item {
            Item::NeedMore => return seen,
            Item::Head(head) => match meant_by(&head) {
                (request, true) => {
                    seen.push(request);
                    return seen;
                }
                (request, false) => open = Some(request),
            },
            Item::Body(part) => {
                if let Some(Seen::Request { body, .. }) = &mut open {
                    body.extend_from_slice(part);
                }
            }
            Item::End => {
                seen.extend(open.take());
                if let Some(Seen::Request { kept: false, .. }) = seen.last() {
                    return seen;
                }
            }
        }
    }
}

/// What one head is to be, and whether it is the last thing to go on.
fn meant_by(head: &Head<'_>) -> (Seen, bool) {
    let target = head.target_str();
    let absolute = target
        .split_once("://")
        .filter(|_| !target.starts_with('/'));
    let path = match absolute {
        Some((_, rest)) => rest.find(['/', '?']).map_or("", |at| &rest[at..]),
        None => target,
    };
    let path = decoded(path.split('?').next().unwrap());
    if decoded(target.split('?').next().unwrap()).contains(&0) {
        return (Seen::Status(400), true);
    }
    if head.method == Method::Other {
        return (Seen::Status(501), true);
    }
    let unread = matches!(head.method, Method::Head | Method::Trace) && !head.body.is_empty();
    let request = Seen::Request {
        method: head.method,
        path,
        body: Vec::new(),
        // evhttp answers an absolute target as a proxy would, and closes.
        kept: head.keep_alive && absolute.is_none() && !unread,
    };
    (request, unread)
}

/// What is passed on of `stream`: the same after another request, and the same to evhttp when the
/// stream comes in single bytes.
#[track_caller]
fn outcome(stream: &str) -> (String, Option<Refusal>) {
    let (out, refusal) = gated([stream.as_bytes()]);
    let behind = format!("{GOOD}{stream}");
    let (after, its_refusal) = gated([behind.as_bytes()]);
    assert_eq!(after, [GOOD_ANEW.as_bytes(), &out].concat(), "{stream:?}");
    assert_eq!(its_refusal, refusal, "{stream:?}");
    let (slow, its_refusal) = gated(stream.as_bytes().chunks(1));
    assert_eq!(evhttp(&slow), evhttp(&out), "{stream:?}");
    assert_eq!(its_refusal, refusal, "{stream:?}");
    let seen = seen([stream.as_bytes()]);
    assert_eq!(seen, meant(stream.as_bytes()), "{stream:?}");
    (String::from_utf8(out).unwrap(), refusal)
}

#[track_caller]
fn goes_on(stream: &str, anew: &str) {
    assert_eq!(outcome(stream), (anew.to_owned(), None), "{stream:?}");
}

/// Checks that a stream is refused with `status` after `anew`, and what evhttp answers.
#[track_caller]
fn refused(stream: &str, anew: &str, status: u16, answer: u16) {
    let (out, refusal) = outcome(&format!("{stream}{GOOD}"));
    assert_eq!(
        refusal.map(|refusal| refusal.status().code()),
        Some(status),
        "{stream:?}"
    );
    assert!(out.starts_with(anew), "{stream:?} gave {out:?}");
    let seen = seen([format!("{stream}{GOOD}").as_bytes()]);
    assert_eq!(seen.last(), Some(&Seen::Status(answer)), "{stream:?}");
    assert_eq!(seen.len(), evhttp(anew.as_bytes()).len() + 1, "{stream:?}");
}

/// A request head with these lines and a `Host`.
fn head(line: &str, fields: &[&str]) -> String {
    let mut head = format!("{line}\r\nHost: x\r\n");
    for field in fields {
        head.extend([field, "\r\n"]);
    }
    head + "\r\n"
}

#[test]
fn a_head_is_passed_on_without_white_space_around_values() {
    goes_on(GOOD, GOOD_ANEW);
    goes_on(
        "\r\n\r\nDELETE /a?b HTTP/1.1\r\nhOST:x:80 \t\r\nA:\t b \tc\t \r\nB:\r\nA: \u{e9}:d\r\n\r\n",
        "DELETE /a?b HTTP/1.1\r\nhOST:x:80\r\nA:b \tc\r\nB:\r\nA:\u{e9}:d\r\n\r\n",
    );
    goes_on("GET /old HTTP/1.0\r\n\r\n", "GET /old HTTP/1.0\r\n\r\n");
    goes_on(
        &head("OPTIONS * HTTP/1.1", &[]),
        "OPTIONS * HTTP/1.1\r\nHost:x\r\n\r\n",
    );
}

#[test]
fn an_expectation_is_passed_on_and_so_is_its_body() {
    let fields = ["Expect:\t100-Continue", "Content-Length: 2"];
    goes_on(
        &(head("PUT / HTTP/1.1", &fields) + "ab"),
        "PUT / HTTP/1.1\r\nHost:x\r\nExpect:100-Continue\r\nContent-Length:2\r\n\r\nab",
    );
}

#[test]
fn a_body_of_known_length_is_passed_on_unchanged_where_evhttp_reads_one() {
    for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let line = format!("{method} / HTTP/1.1");
        let body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let stream = head(&line, &["Content-Length:\t 00042"]) + body + GOOD;
        let anew = format!("{line}\r\nHost:x\r\nContent-Length:42\r\n\r\n{body}{GOOD_ANEW}");
        goes_on(&stream, &anew);
    }
}

#[test]
fn chunks_go_on_without_extensions_and_trailers() {
    let line = "POST / HTTP/1.1";
    let stream = head(line, &["Transfer-Encoding:\tCHUNKED"])
        + "0003;a=\"b\"\r\nabc\r\nB\r\n0123456789a\r\n00;z\r\nA: b\r\nConnection: close\r\n\r\n"
        + GOOD;
    let anew = format!(
        "{line}\r\nHost:x\r\nTransfer-Encoding:chunked\r\n\r\n3\r\nabc\r\nb\r\n0123456789a\r\n0\r\n\r\n{GOOD_ANEW}"
    );
    goes_on(&stream, &anew);
    let names = |stream: &[u8]| {
        fields_of_the_first(stream)
            .into_iter()
            .map(|(name, _)| name)
    };
    assert!(names(whole(stream.as_bytes()).as_slice()).eq(["Host", "Transfer-Encoding"]));
}

#[test]
fn a_closing_connection_is_announced_with_the_one_token_that_evhttp_knows() {
    for (version, fields, anew) in [
        ("1.1", vec![], ""),
        (
            "1.1",
            vec!["Connection: Upgrade, x"],
            "Connection:Upgrade, x\r\n",
        ),
        (
            "1.1",
            vec!["Connection: Keep-Alive"],
            "Connection:Keep-Alive\r\n",
        ),
        (
            "1.1",
            vec!["Connection: a", "A: b", "Connection: c"],
            "Connection:a\r\nA:b\r\nConnection:c\r\n",
        ),
        ("1.1", vec!["Connection:\tCLOSE"], "Connection:close\r\n"),
        (
            "1.1",
            vec!["connection: x, close", "A: b"],
            "connection:close\r\nA:b\r\n",
        ),
        (
            "1.1",
            vec!["Connection: keep-alive", "A: b", "Connection: close"],
            "Connection:close\r\nA:b\r\n",
        ),
        ("1.0", vec![], ""),
        (
            "1.0",
            vec!["Connection: x, keep-alive"],
            "Connection:keep-alive\r\n",
        ),
        (
            "1.0",
            vec!["Connection: x", "Connection: Keep-Alive"],
            "Connection:keep-alive\r\n",
        ),
        (
            "1.0",
            vec!["Connection: keep-alive, close"],
            "Connection:close\r\n",
        ),
        (
            "1.0",
            vec!["Connection: keep-alive-not"],
            "Connection:close\r\n",
        ),
    ] {
        let line = format!("GET / HTTP/{version}");
        goes_on(
            &head(&line, &fields),
            &format!("{line}\r\nHost:x\r\n{anew}\r\n"),
        );
    }
}

#[test]
fn nothing_is_passed_on_after_the_last_request() {
    for (line, field) in [
        ("GET / HTTP/1.0", "A: b"),
        ("GET / HTTP/1.1", "Connection: x, close"),
        ("POST / HTTP/1.1", "Connection: close\r\nContent-Length: 3"),
        (
            "POST / HTTP/1.1",
            "Connection: close\r\nTransfer-Encoding: chunked",
        ),
    ] {
        let body = match field.split(' ').next_back().unwrap() {
            "3" => "abc",
            "chunked" => "3\r\nabc\r\n0\r\n\r\n",
            _ => "",
        };
        let request = head(line, &[field]) + body;
        let (alone, _) = outcome(&request);
        assert!(alone.ends_with(body), "{alone:?}");
        goes_on(&format!("{request}{GOOD}"), &alone);
        goes_on(&format!("{request}\0"), &alone);
    }
}

#[test]
fn a_body_that_evhttp_would_not_read_is_dropped_with_what_comes_after_it() {
    for method in ["HEAD", "TRACE", "PROPFIND", "post"] {
        let line = format!("{method} / HTTP/1.1");
        let anew = format!("{line}\r\nHost:x\r\nA:b\r\nConnection:close\r\n\r\n");
        let length = head(&line, &["Content-Length: 3", "A: b"]);
        goes_on(&format!("{length}abc{GOOD}"), &anew);
        let chunked = head(&line, &["Transfer-Encoding: chunked", "A: b"]);
        goes_on(&format!("{chunked}0\r\n\r\n{GOOD}"), &anew);
        // Where there is none, all is well.
        let none = head(&line, &["Content-Length: 0"]) + GOOD;
        let anew = format!("{line}\r\nHost:x\r\nContent-Length:0\r\n\r\n{GOOD_ANEW}");
        goes_on(&none, &anew);
    }
    let line = "HEAD / HTTP/1.0";
    let length = head(line, &["Content-Length: 3", "Connection: keep-alive"]);
    let anew = format!("{line}\r\nHost:x\r\nConnection:close\r\n\r\n");
    goes_on(&format!("{length}abc"), &anew);
}

#[test]
fn a_target_is_passed_on_unless_evhttp_would_read_an_authority() {
    for (target, anew) in [
        ("/", "/"),
        ("/a:b|\"<>%zz%?%00", "/a:b|\"<>%zz%?%00"),
        ("/a//b", "/a//b"),
        ("/%2500", "/%2500"),
        ("//x/admin", "/%2Fx/admin"),
        ("//", "/%2F"),
        ("///x", "/%2F/x"),
        ("//x@y:z/?//", "/%2Fx@y:z/?//"),
        ("HTTP://x:80/a?b//c", "HTTP://x:80/a?b//c"),
        ("https://[::1]//x", "https://[::1]//x"),
        ("http://x?/%00", "http://x?/%00"),
    ] {
        let (old, new) = (
            format!("GET {target} HTTP/1.1"),
            format!("GET {anew} HTTP/1.1"),
        );
        goes_on(&head(&old, &[]), &format!("{new}\r\nHost:x\r\n\r\n"));
    }
}

/// Every row is a request that evhttp alone reads otherwise than the codec.
#[test]
fn the_gate_corrects_what_evhttp_would_misread() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"; // 0x24 bytes
    let chunked = format!("24\r\n{hidden}\r\n0\r\n\r\n");
    let post = |fields: &[&str]| head("POST / HTTP/1.1", fields);
    let get = |field: &str| head("GET / HTTP/1.1", &[field]);
    for stream in [
        // The body is read as requests, or not read where there is one.
        post(&["Transfer-Encoding:\tchunked"]) + &chunked,
        head("HEAD / HTTP/1.1", &["Content-Length: 36"]) + hidden,
        head("TRACE / HTTP/1.1", &["Content-Length: 36"]) + hidden,
        head("HEAD / HTTP/1.1", &["Transfer-Encoding: chunked"]) + &chunked,
        // What comes after the last request is read.
        get("Connection: x, close"),
        get("Connection:\tclose"),
        get("Connection: keep-alive\r\nConnection: close"),
        head("GET / HTTP/1.0", &["Connection: keep-alive, close"]),
        head("GET / HTTP/1.0", &["Connection: keep-alive-not"]),
        // What comes after a request that keeps the connection is not.
        head("GET / HTTP/1.0", &["Connection: x, keep-alive"]),
        // Another path.
        head("GET //x/admin HTTP/1.1", &[]),
        head("GET ///admin HTTP/1.1", &[]),
        head("GET /admin%00.png HTTP/1.1", &[]),
        // A valid request is refused.
        format!("\r\n{GOOD}"),
        post(&["Expect:\t100-continue", "Content-Length: 1"]) + "a",
        post(&["Transfer-Encoding: chunked"]) + "1;a=b\r\na\r\n0\r\n\r\n",
        // An invalid one is accepted.
        head("GET / HTTP/1.1", &["A : b"]),
        head("GET / HTTP/1.1", &["A: b\r\n folded: c"]),
        head("GET / HTTP/1.1", &["A: b\nC: d"]),
        head("GET / HTTP/1.1", &["Host: y"]),
        head("GET /#fragment HTTP/1.1", &[]),
        head("GET / x HTTP/1.1", &[]),
        head("GET / HTTP/1.2", &[]),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        post(&["Content-Length: +1"]) + "a",
        post(&["Content-Length: 1", "Content-Length: 36"]) + hidden,
        post(&["Content-Length: 1", "Transfer-Encoding: chunked"]) + &chunked,
        post(&["Transfer-Encoding: chunked", "Transfer-Encoding: x"]) + &chunked,
        post(&["Transfer-Encoding: x, chunked"]) + hidden,
        post(&["Transfer-Encoding: chunked, x"]) + hidden,
        post(&["Transfer-Encoding : chunked"]) + hidden,
        post(&["Transfer_Encoding: chunked", "Content-Length: -0"]) + hidden,
        head("POST / HTTP/1.0", &["Transfer-Encoding: chunked"]) + &chunked,
        post(&["Transfer-Encoding: chunked"]) + "0x1\r\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "+1\r\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + " 1\r\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "1 x\r\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "1\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "1\r\na0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "\r\n1\r\na\r\n0\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "0\r\nHost: y\r\n\r\n",
        post(&["Transfer-Encoding: chunked"]) + "0\r\nContent-Length : 1\r\n\r\n",
    ] {
        let stream = format!("{stream}{GOOD}");
        let meant = meant(stream.as_bytes());
        assert_ne!(evhttp(stream.as_bytes()), meant, "{stream:?} needs no gate");
        outcome(&stream);
        let seen = seen([stream.as_bytes()]);
        assert_eq!(seen, meant, "{stream:?}");
        let is_hidden =
            |seen: &Seen| matches!(seen, Seen::Request { path, .. } if path == b"/hidden");
        assert!(!seen.iter().any(is_hidden), "{stream:?} gave {seen:?}");
    }
}

/// evhttp takes the line for malformed (400), and the codec the method for unknown (501).
#[test]
fn a_request_line_too_short_for_evhttp_goes_on_with_a_longer_method() {
    for (line, anew) in [
        ("T / HTTP/1.1", "UNKNOWN / HTTP/1.1"),
        ("T /a HTTP/1.1", "UNKNOWN /a HTTP/1.1"),
        ("PU / HTTP/1.0", "UNKNOWN / HTTP/1.0"),
        ("TT /a HTTP/1.1", "TT /a HTTP/1.1"),
        ("GOT / HTTP/1.1", "GOT / HTTP/1.1"),
    ] {
        goes_on(&head(line, &[]), &format!("{anew}\r\nHost:x\r\n\r\n"));
    }
    // As it was found: a body that ends early, and its rest is read as a request.
    let stream =
        head("GET / HTTP/1.1", &["Content-Length: 3"]) + "POST / HTTP/1.1\r\nhOST: x\r\n\r\n";
    outcome(&stream);
}

#[test]
fn an_encoded_nul_before_the_query_is_refused() {
    for target in [
        "/%00",
        "/admin%00x",
        "/a/%00?b",
        "//%00",
        "http://x/%00",
        "http://%00/",
    ] {
        refused(&head(&format!("GET {target} HTTP/1.1"), &[]), "", 400, 400);
    }
}

#[test]
fn a_head_that_is_refused_is_answered_in_its_turn() {
    let get = "GET / HTTP/1.1";
    for (stream, status, answer) in [
        (head(get, &["A : b"]), 400, 400),
        (head(get, &["A: \0"]), 400, 400),
        (head("GET /\u{e9} HTTP/1.1", &[]), 400, 400),
        (head("GET /\u{7f} HTTP/1.1", &[]), 400, 400),
        (head("GET x HTTP/1.1", &[]), 400, 400),
        (head("GET http://user@x/ HTTP/1.1", &[]), 400, 400),
        (head("GET * HTTP/1.1", &[]), 400, 400),
        ("\r\n".repeat(5), 400, 400),
        (head("CONNECT x:1 HTTP/1.1", &[]), 501, 400),
        (head(get, &["Transfer-Encoding: gzip, chunked"]), 501, 400),
        (head("GET / HTTP/2.0", &[]), 505, 400),
        (
            head(&format!("GET /{} HTTP/1.1", "a".repeat(8192)), &[]),
            414,
            400,
        ),
        (head(get, &[&format!("A: {}", "a".repeat(16384))]), 431, 400),
        (head(get, &["A: b"; 100]), 431, 400),
        (head(get, &["Expect: tea", "Content-Length: 1"]), 417, 417),
        (
            head(get, &["Content-Length: 9223372036854775808"]),
            413,
            413,
        ),
        (
            head(get, &["Content-Length: 99999999999999999999"]),
            413,
            413,
        ),
    ] {
        refused(&stream, "", status, answer);
    }
}

#[test]
fn chunks_that_are_refused_end_the_request_that_they_belong_to() {
    let anew = "POST / HTTP/1.1\r\nHost:x\r\nTransfer-Encoding:chunked\r\n\r\n";
    let post = head("POST / HTTP/1.1", &["Transfer-Encoding: chunked"]);
    for (chunks, anew_chunks) in [
        ("g\r\n", ""),
        ("\r\n", ""),
        ("ffffffffffffffff\r\n", ""),
        ("3\r\nabcd\r\n", "3\r\nabc\r\n"),
        ("3\r\nabc\r\n-1\r\n", "3\r\nabc\r\n"),
        ("0\n", ""),
        ("0\r\nA : b\r\n\r\n", ""),
        ("0\r\nContent-Length: 1\r\n\r\n", ""),
    ] {
        let (out, refusal) = outcome(&format!("{post}{chunks}{GOOD}"));
        let end = "13\r\nrefused by the gate\r\n0\r\n\r\n";
        assert_eq!(out, format!("{anew}{anew_chunks}{end}"), "{chunks:?}");
        let code = if chunks.starts_with('f') { 413 } else { 400 };
        assert_eq!(refusal.unwrap().status().code(), code, "{chunks:?}");
        assert_eq!(evhttp(out.as_bytes()), [Seen::Refused], "{chunks:?}");
    }
}

#[test]
fn only_the_first_refusal_counts_and_nothing_follows_it() {
    let (mut gate, mut out) = (Gate::new(LIMITS), Vec::new());
    let mut pass = |bytes: &[u8]| {
        gate.pass(bytes, &mut |bytes: &[u8]| out.extend_from_slice(bytes));
        let refusal = gate.refusal().map(|(_, refusal)| *refusal);
        (out.len(), refusal, gate.kept.capacity())
    };
    let refused = (REFUSED_REQUEST.len(), Some(REFUSED_NUL), 0);
    assert_eq!(pass(b"GET /\0"), refused);
    for more in [GOOD.as_bytes(), b" HTTP/9.9\n", &[0; 100_000]] {
        assert_eq!(pass(more), refused);
    }
}

const REFUSED_NUL: Refusal = Refusal::new(Status::BadRequest, "the head has a NUL byte");

#[test]
fn lengths_pass_up_to_what_evhttp_can_count() {
    let most = format!("Content-Length: {}", isize::MAX);
    let (out, refusal) = gated([head("PUT / HTTP/1.1", &[&most]).as_bytes()]);
    assert!(out.ends_with(b"Content-Length:9223372036854775807\r\n\r\n"));
    assert_eq!(refusal, None);
    let small = Limits {
        header_size: 100,
        body_size: 3,
    };
    for (length, refused) in [("3", false), ("4", true)] {
        let mut gate = Gate::new(small);
        let field = format!("Content-Length: {length}");
        gate.pass(
            head("PUT / HTTP/1.1", &[&field]).as_bytes(),
            &mut |_: &[u8]| {},
        );
        assert_eq!(gate.refusal().is_some(), refused);
    }
}

#[test]
fn a_head_is_passed_on_whole_and_a_body_as_it_arrives() {
    for cut in [0, 1, 20, 57, 60] {
        let request = head("PUT / HTTP/1.1", &["Content-Length: 10", "A: b"]) + "0123456789";
        let (start, rest) = request.as_bytes().split_at(cut);
        let mut gate = Gate::new(LIMITS);
        let mut pieces = Vec::new();
        gate.pass(start, &mut |piece: &[u8]| {
            pieces.push((piece.to_vec(), false))
        });
        let range = rest.as_ptr_range();
        gate.pass(rest, &mut |piece: &[u8]| {
            pieces.push((piece.to_vec(), range.contains(&piece.as_ptr())));
        });
        let (_, body) = pieces.split_first().unwrap();
        let lent: Vec<u8> = body
            .iter()
            .filter(|piece| piece.1)
            .flat_map(|piece| piece.0.clone())
            .collect();
        let due = rest.len().min(10);
        assert_eq!(
            lent,
            &request.as_bytes()[request.len() - due..],
            "cut at {cut}"
        );
        assert_eq!(gate.kept.capacity(), 0);
    }
}

#[test]
fn what_is_kept_is_bounded_and_given_back() {
    let limits = Limits {
        header_size: 1000,
        ..LIMITS
    };
    let post = head("POST / HTTP/1.1", &["Transfer-Encoding: chunked"]);
    for start in [
        "",
        "GET / HTTP/1.1\r\nA: ",
        "GET / HTTP/1.1\r\nA: b\r\n",
        &format!("{post}0\r\n"),
    ] {
        for part in [1, 7, 999, 5000] {
            let mut gate = Gate::new(limits);
            gate.pass(start.as_bytes(), &mut |_: &[u8]| {});
            for _ in 0..5000 / part {
                gate.pass(&vec![b'a'; part], &mut |_: &[u8]| {});
                assert!(gate.kept.len() < 1000 && gate.kept.capacity() < 2000);
            }
            assert!(gate.refusal().is_some(), "{start:?} in parts of {part}");
            assert_eq!(gate.kept.capacity(), 0);
        }
    }
    let mut gate = Gate::new(LIMITS);
    gate.pass(&post.as_bytes()[..30], &mut |_: &[u8]| {});
    assert_eq!(gate.kept.len(), 30);
    // The rest of a head comes with a body: only the head is kept, and then nothing.
    let body = [b"f4240\r\n", vec![b'a'; 1_000_000].as_slice()].concat();
    gate.pass(
        &[&post.as_bytes()[30..], &body].concat(),
        &mut |_: &[u8]| {},
    );
    assert_eq!(gate.kept.capacity(), 0);
}

#[test]
fn a_megabyte_of_head_a_byte_at_a_time_costs_no_more_than_a_few_passes() {
    let limits = Limits {
        header_size: 1 << 20,
        ..LIMITS
    };
    let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nA: ".to_vec();
    head.resize((1 << 20) - 4, b'a');
    head.extend_from_slice(b"\r\n\r\n");
    let (mut gate, mut len) = (Gate::new(limits), 0);
    for byte in head.chunks(1) {
        assert_eq!(len, 0);
        gate.pass(byte, &mut |bytes: &[u8]| len += bytes.len());
    }
    assert_eq!(len, head.len() - 2);
}

#[test]
fn limits_of_nothing_refuse_and_do_not_panic() {
    for header_size in 0..20 {
        let mut gate = Gate::new(Limits {
            header_size,
            body_size: 0,
        });
        for byte in GOOD.as_bytes().chunks(1) {
            gate.pass(byte, &mut |_: &[u8]| {});
        }
        assert!(gate.refusal().is_some(), "{header_size}");
    }
}
