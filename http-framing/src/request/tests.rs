//! Heads one by one: which are accepted, which refused, and with which message.

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
fn refused(bytes: &[u8], code: u16, reason: &str) {
    let got = decode(bytes);
    let [Got::Refused(refusal)] = got.as_slice() else {
        panic!("{} gave {got:?}", bytes.escape_ascii());
    };
    assert_eq!(
        refusal.status().code(),
        code,
        "{}: {refusal}",
        bytes.escape_ascii()
    );
    assert!(
        refusal.reason().contains(reason),
        "{}: {refusal}",
        bytes.escape_ascii()
    );
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
                (head.method, head.target, head.version),
                (method, target, version)
            );
            assert_eq!(head.body, BodyLength::None);
        });
    }
}

#[test]
fn a_malformed_request_line_is_refused() {
    for (line, code, reason) in [
        ("GET", 400, "single word"),
        ("GET /", 400, "no HTTP version"),
        ("GET / ", 400, "does not end in one space"),
        (" GET / HTTP/1.1", 400, "begins with a space"),
        ("GET  / HTTP/1.1", 400, "two spaces in a row"),
        ("GET /  HTTP/1.1", 400, "does not end in one space"),
        ("GET / HTTP/1.1 ", 400, "does not end in one space"),
        ("GET / x HTTP/1.1", 400, "does not end in one space"),
        ("GET\t/ HTTP/1.1", 400, "tab"),
        ("GET /\tHTTP/1.1", 400, "tab"),
        ("G(T / HTTP/1.1", 400, "the method"),
        ("G\u{e9}T / HTTP/1.1", 400, "the method"),
        ("GET / http/1.1", 400, "does not end in one space"),
        ("GET / HTTP/1.10", 400, "does not end in one space"),
        ("GET / HTTP/11", 400, "does not end in one space"),
        ("GET / HTTP/1,1", 400, "does not end in one space"),
        ("GET / HTTP/1.2", 505, "HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/0.9", 505, "HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/0x1.1", 505, "HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/2", 505, "HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/1.20", 505, "HTTP/1.1 and HTTP/1.0"),
        ("GET / HTTP/1x1", 400, "does not end in one space"),
        ("GET / HTTP/3.0", 505, "HTTP/1.1 and HTTP/1.0"),
        ("PRI * HTTP/2.0", 505, "HTTP/1.1 and HTTP/1.0"),
        ("CONNECT x:443 HTTP/1.1", 501, "no proxy"),
        ("CONNECT / HTTP/1.1", 501, "no proxy"),
    ] {
        refused(&head(&[line, "Host: x"]), code, reason);
    }
}

#[test]
fn a_target_of_another_form_is_refused() {
    let form = "must be a path";
    let uri = "host or port is not valid";
    for (target, reason) in [
        ("x:443", form),
        ("x", form),
        ("**", form),
        ("ftp://x/", form),
        ("http:/x", form),
        ("http:x", form),
        ("://x/", form),
        ("http://", uri),
        ("http:///x", uri),
        ("http://?x", uri),
        ("http://user@x/", uri),
        ("http://x:y/", uri),
        ("http://a,b/", uri),
        ("*", "only OPTIONS"),
        ("/#x", "fragment (#)"),
        ("http://x/#", "fragment (#)"),
        ("/\u{e9}", "not ASCII"),
        ("/\u{7f}", "control byte"),
    ] {
        refused(
            &head(&[&format!("GET {target} HTTP/1.1"), "Host: x"]),
            400,
            reason,
        );
    }
}

#[test]
fn a_line_that_does_not_end_in_cr_lf_is_refused() {
    for bytes in [
        "GET / HTTP/1.1\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA:\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\n",
        "GET / HTTP/1.1\nHost: x\n\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\nContent-Length: 3\r\n\r\n",
    ] {
        refused(bytes.as_bytes(), 400, "LF alone");
    }
    for bytes in [
        "GET / HTTP/1.1\rHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA\r: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA:\r b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\r\n",
        "GET /\r HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        refused(bytes.as_bytes(), 400, "CR is not followed by LF");
    }
}

#[test]
fn a_malformed_field_line_is_refused() {
    for (line, reason) in [
        ("A : b", "white space before its colon"),
        ("A\t: b", "white space before its colon"),
        (": b", "no name"),
        ("A", "no colon"),
        ("A ", "no colon"),
        (" A: b", "folded"),
        ("\tA: b", "folded"),
        ("A: b\r\n c", "folded"),
        ("A: b\r\n\tc: d", "folded"),
        ("A: b\r\n ", "folded"),
        ("A b: c", "a field name"),
        ("A(: b", "a field name"),
        ("\u{e9}: b", "a field name"),
        ("\"A\": b", "a field name"),
        ("\0: b", "NUL"),
    ] {
        refused(&with(&[line]), 400, reason);
    }
    refused(b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", 400, "folded");
    refused(b"GET / HTTP/1.1\r\n \r\nHost: x\r\n\r\n", 400, "folded");
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
fn a_host_is_needed_once_and_must_be_one() {
    refused(&head(&["GET / HTTP/1.1"]), 400, "no Host field");
    refused(&head(&["GET http://x/ HTTP/1.1"]), 400, "no Host field");
    refused(
        &head(&["GET / HTTP/1.1", "Host: x", "host: x"]),
        400,
        "two Host fields",
    );
    refused(
        &head(&["GET / HTTP/1.0", "Host: x", "HOST: y"]),
        400,
        "two Host fields",
    );
    refused(
        &head(&["GET / HTTP/1.1", "Host:"]),
        400,
        "the Host field is empty",
    );
    refused(
        &head(&["GET / HTTP/1.1", "Host: \t "]),
        400,
        "the Host field is empty",
    );
    for host in [
        "user@x", "a,b", "a b", "x:y", "x/", "http://x", "[::1", "\u{e9}", "x:65536",
    ] {
        let lines = ["GET / HTTP/1.0", &format!("Host: {host}")];
        refused(&head(&lines), 400, "not one host");
    }
    accepted(&head(&["GET / HTTP/1.0"]), |head| assert!(!head.keep_alive));
    accepted(&head(&["GET / HTTP/1.1", "hOsT:[::1]:80 \t"]), |head| {
        assert!(head.keep_alive)
    });
}

#[test]
fn a_length_is_digits_and_nothing_else() {
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
    for value in [
        "", "+1", "-1", "0x1", "1 1", "1,1", "1, 1", "1.0", "1e3", "\"1\"", "a", "\u{661}", "1;",
    ] {
        refused(
            &with(&[&format!("Content-Length: {value}")]),
            400,
            "not a plain decimal number",
        );
    }
    refused(&with(&["Content-Length: 1\u{b}"]), 400, "control byte");
    refused(&with(&["Content-Length: 1048577"]), 413, "body is longer");
    refused(
        &with(&["Content-Length: 99999999999999999999999"]),
        413,
        "body is longer",
    );
    for (one, other) in [("1", "1"), ("1", "2")] {
        let fields = [
            format!("Content-Length: {one}"),
            format!("content-LENGTH: {other}"),
        ];
        refused(
            &with(&[&fields[0], &fields[1]]),
            400,
            "two Content-Length fields",
        );
    }
}

#[test]
fn a_transfer_coding_is_chunked_and_nothing_else() {
    for value in ["chunked", "CHUNKED", "Chunked", " \tchunked\t "] {
        let body = accepted(&with(&[&format!("Transfer-Encoding:{value}")]), |head| {
            head.body
        });
        assert_eq!(body, BodyLength::Chunked);
    }
    let names = "not a list of plain coding names";
    let last = "the last transfer coding is not chunked";
    for (value, code, reason) in [
        ("gzip, chunked", 501, "the only transfer coding"),
        ("identity,chunked", 501, "the only transfer coding"),
        ("gzip", 400, last),
        ("identity", 400, last),
        ("xchunked", 400, last),
        ("chunked, gzip", 400, last),
        ("chunked, identity", 400, last),
        ("chunked, chunked", 400, "chunked twice"),
        ("Chunked,gzip,chunked", 400, "chunked twice"),
        ("", 400, names),
        (",chunked", 400, names),
        ("chunked,", 400, names),
        ("gzip,,chunked", 400, names),
        ("chunked;a=b", 400, names),
        ("\"chunked\"", 400, names),
        ("chun ked", 400, names),
        ("'chunked", 400, last),
        ("chunked\u{a0}", 400, names),
        ("\u{b}chunked", 400, "control byte"),
        ("chunked\u{c}", 400, "control byte"),
        ("chunked\0", 400, "NUL"),
    ] {
        refused(
            &with(&[&format!("Transfer-Encoding: {value}")]),
            code,
            reason,
        );
    }
}

#[test]
fn a_request_two_readers_could_frame_differently_is_refused() {
    let chunked = "Transfer-Encoding: chunked";
    let both = "both Transfer-Encoding and Content-Length";
    refused(&with(&[chunked, "Content-Length: 3"]), 400, both);
    refused(&with(&["Content-Length: 3", chunked]), 400, both);
    refused(
        &with(&["Content-Length: x", "Transfer-Encoding: gzip"]),
        400,
        both,
    );
    refused(
        &with(&[chunked, "transfer-encoding: chunked"]),
        400,
        "two Transfer-Encoding fields",
    );
    refused(
        &with(&[chunked, "Transfer-Encoding: identity"]),
        400,
        "two Transfer-Encoding fields",
    );
    refused(
        &head(&["POST / HTTP/1.0", "Host: x", chunked]),
        400,
        "HTTP/1.0 does not have",
    );
    refused(
        &with(&["Transfer-Encoding : chunked"]),
        400,
        "white space before its colon",
    );
    refused(
        &with(&["X: y\r\n Transfer-Encoding: chunked"]),
        400,
        "folded",
    );
    refused(&with(&["Content-Length\0: 3"]), 400, "NUL");
    // An underscore is a letter like another: this is not the field.
    let body = accepted(&with(&["Transfer_Encoding: chunked"]), |head| head.body);
    assert_eq!(body, BodyLength::None);
}

#[test]
fn an_expectation_is_100_continue_or_417() {
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
    for value in [
        "tea",
        "",
        "100-continue, 100-continue",
        "100-continue;q=1",
        "200-ok",
    ] {
        refused(
            &with(&[&format!("Expect: {value}"), length]),
            417,
            "100-continue",
        );
    }
    refused(
        &with(&["Expect: 100-continue", "Expect: 100-continue"]),
        400,
        "two Expect fields",
    );
}

#[test]
fn a_connection_is_kept_by_version_and_close_wins() {
    for (version, fields, kept) in [
        ("1.1", vec![], true),
        ("1.1", vec!["Connection: close"], false),
        ("1.1", vec!["Connection: CLOSE"], false),
        ("1.1", vec!["Connection: keep-alive"], true),
        ("1.1", vec!["Connection: keep-alive, close"], false),
        (
            "1.1",
            vec!["Connection: close", "Connection: keep-alive"],
            false,
        ),
        (
            "1.1",
            vec!["Connection: keep-alive", "connection: x,\tclose ,y"],
            false,
        ),
        ("1.1", vec!["Connection: Upgrade", "Upgrade: h2c"], true),
        ("1.1", vec!["Connection: closed"], true),
        ("1.1", vec!["Connection:"], true),
        ("1.1", vec!["Connection: ,,x,"], true),
        ("1.0", vec![], false),
        ("1.0", vec!["Connection: Keep-Alive"], true),
        ("1.0", vec!["Connection: x, keep-alive"], true),
        (
            "1.0",
            vec!["Connection: keep-alive", "Connection: close"],
            false,
        ),
        ("1.0", vec!["Keep-Alive: timeout=5"], false),
    ] {
        let line = format!("GET / HTTP/{version}");
        let mut lines = vec![line.as_str(), "Host: x"];
        lines.extend(&fields);
        assert_eq!(
            accepted(&head(&lines), |head| head.keep_alive),
            kept,
            "{version} {fields:?}"
        );
    }
    for value in ["close;", "\"close\"", "keep alive", "close, (x)", "\u{e9}"] {
        refused(
            &with(&[&format!("Connection: {value}")]),
            400,
            "not a list of tokens",
        );
    }
}

#[test]
fn opaque_bytes_pass_in_a_field_that_means_nothing_here() {
    accepted(
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x80\xff\t~\r\n\r\n",
        |head| assert!(head.keep_alive),
    );
}
