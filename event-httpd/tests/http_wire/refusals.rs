//! Requests that no two readers would frame alike, or that are too much: refused, and nothing
//! that follows them is read.

use test_support::http_cases::Verdict;

use super::support_http::{Client, GET, Server, refused};

/// What follows each of them: an answer to it would be the smuggler's gain.
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// The rows of the table whose first request is refused, each with its status.
fn malformed() -> Vec<(Vec<u8>, u16)> {
    let mut all = Vec::new();
    for case in test_support::http_cases::all() {
        if let [Verdict::Refused(status)] = case.verdicts[..] {
            all.push((case.bytes, status));
        }
    }
    assert!(all.len() > 350, "{} malformed requests", all.len());
    all
}

/// Takes one refusal and the end; says what it answers should it be another.
#[track_caller]
fn expect_refusal(client: &mut Client, request: &[u8], status: u16) {
    let answer = client.answer();
    assert_eq!(
        answer.status,
        status,
        "{} gave {answer:?}",
        request.escape_ascii()
    );
    assert_eq!(answer.field("Connection"), Some("close"));
    client.expect_close();
}

#[test]
fn malformed_requests_are_refused_and_what_follows_them_is_never_answered() {
    let server = Server::start(&[]);
    let mut old = server.connect();
    for (request, status) in malformed() {
        let mut client = server.connect();
        client.send([&request, SMUGGLED].concat());
        expect_refusal(&mut client, &request, status);
        old.ask();
        server.connect().ask();
    }
    assert_eq!(server.until_entries(3)[..2], [5, 6]);
}

#[test]
fn a_refusal_has_its_whole_form_for_every_status() {
    let server = Server::start(&[]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
            413,
        ),
        ("POST / HTTP/1.1\r\nHost: x\r\nExpect: x\r\n\r\n", 417),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    ] {
        let mut client = server.connect();
        client.send(request);
        refused(&mut client, status);
    }
}

#[test]
fn a_refused_head_is_answered_with_the_head_alone() {
    // RFC 9110 §9.3.2: no content in an answer to HEAD, whatever its status.
    let server = Server::start(&[]);
    for (lines, status) in [
        ("Host: x\r\nContent-Length: 9999999\r\n", 413),
        ("Host: x\r\nExpect: x\r\n", 417),
        ("Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        ("", 400),
        ("Host: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    ] {
        let mut client = server.connect();
        client.send(format!("HEAD / HTTP/1.1\r\n{lines}\r\n"));
        let answer = client.answer_to_head();
        assert_eq!(answer.status, status, "{answer:?}");
        client.expect_close();
    }
}

#[test]
fn malformed_requests_after_good_ones_are_refused_after_the_good_answers() {
    let server = Server::start(&[]);
    for (request, status) in malformed() {
        let mut client = server.connect();
        client.send([GET, GET, &request, SMUGGLED].concat());
        for _ in 0..2 {
            assert_eq!(client.answer().status, 200, "{}", request.escape_ascii());
        }
        expect_refusal(&mut client, &request, status);
    }
}

#[test]
fn random_bytes_are_refused_and_harm_no_one() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..300 {
        let mut client = server.connect();
        let mut garbage: Vec<u8> = (0..random.usize(1..2000)).map(|_| random.u8(..)).collect();
        garbage[0] |= 0x80; // no request begins like that
        client.send(garbage);
        expect_refusal(&mut client, b"garbage", 400);
        other.ask();
    }
}

#[test]
fn good_requests_with_a_byte_changed_are_answered_or_refused_but_nothing_else() {
    let server = Server::start(&[]);
    let mut random = fastrand::Rng::with_seed(5);
    let good: &[u8] = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nA: b\r\n\r\n";
    for index in 0..good.len() {
        for _ in 0..4 {
            let mut bytes = good.to_vec();
            bytes[index] = random.u8(..);
            let mut client = server.connect();
            client.send([&bytes, GET].concat());
            client.half_close();
            let shown = bytes.escape_ascii().to_string();
            let rest = client.rest();
            let known = [b"200", b"400", b"413", b"431", b"501", b"505"];
            let first = rest.strip_prefix(b"HTTP/1.1 ").map(|rest| &rest[..3]);
            let first = first.unwrap_or_default();
            // A size that grew may swallow all that follows: then there is no answer.
            assert!(
                rest.is_empty() || known.iter().any(|status| first == *status),
                "{shown}"
            );
        }
    }
    server.until_entries(2);
}

/// A request whose request line, with its CR LF, is `line` bytes, and whose head is `head`.
fn sized(line: usize, head: usize) -> Vec<u8> {
    let mut request = format!("GET /{} HTTP/1.1\r\n", "a".repeat(line - 16)).into_bytes();
    assert_eq!(request.len(), line);
    request.extend_from_slice(b"Host: x\r\nA: ");
    request.extend(std::iter::repeat_n(b'a', head - request.len() - 4));
    request.extend_from_slice(b"\r\n\r\n");
    assert_eq!(request.len(), head);
    request
}

#[test]
fn a_head_at_its_limits_is_answered_and_one_byte_more_is_refused() {
    const KIB: usize = 1024;
    let server = Server::start(&[]);
    let small = Server::start(&["--max-header-size", "1KiB"]);
    let large = Server::start(&["--max-header-size", "64KiB"]);
    for (server, request, status) in [
        (&server, sized(16, 16 * KIB), 200),
        (&server, sized(16, 16 * KIB + 1), 431),
        (&server, sized(16, 40 * KIB), 431),
        (&server, sized(8 * KIB, 9 * KIB), 200),
        (&server, sized(8 * KIB, 16 * KIB), 200),
        (&server, sized(8 * KIB, 16 * KIB + 1), 431),
        (&server, sized(8 * KIB + 1, 9 * KIB), 414),
        (&server, sized(30 * KIB, 40 * KIB), 414),
        (&small, sized(16, KIB), 200),
        (&small, sized(16, KIB + 1), 431),
        (&small, sized(16, 20 * KIB), 431),
        (&large, sized(16, 64 * KIB), 200),
        (&large, sized(16, 64 * KIB + 1), 431),
        (&large, sized(8 * KIB + 1, 20 * KIB), 414),
    ] {
        let what = format!("{} bytes: {status}", request.len());
        let mut other = server.connect();
        for part in [request.len(), 1000] {
            let mut client = server.connect();
            for part in request.chunks(part) {
                client.send(part);
                other.ask();
            }
            if status == 200 {
                assert_eq!(client.answer().status, 200, "{what}");
            } else {
                expect_refusal(&mut client, what.as_bytes(), status);
            }
        }
    }
}

#[test]
fn a_head_past_its_limits_is_refused_before_its_end_has_come() {
    let server = Server::start(&[]);
    let fields = "A: b\r\n".repeat(20_000 / 6);
    for (part, status) in [
        ("a".repeat(9000), 414),
        (format!("GET /{}", "a".repeat(9000)), 414),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(17_000)),
            431,
        ),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}"), 431),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: {}",
                "a".repeat(17_000)
            ),
            431,
        ),
    ] {
        let mut client = server.connect();
        client.send(&part);
        refused(&mut client, status);
    }
}

#[test]
fn a_refused_client_that_never_closes_is_let_go() {
    let server = Server::start(&["--idle-timeout", "500ms"]);
    server.connect().ask();
    server.until_entries(2);
    let before = server.process().descriptors();
    let clients: Vec<Client> = (0..50)
        .map(|_| {
            let mut client = server.connect();
            client.send(b"GARBAGE\r\n\r\n");
            refused(&mut client, 400);
            client
        })
        .collect();
    server.until_entries(2);
    super::support_http::until("the descriptors are back", || {
        (server.process().descriptors() <= before).then_some(())
    });
    drop(clients);
}
