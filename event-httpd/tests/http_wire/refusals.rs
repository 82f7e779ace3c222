//! Requests that no two readers would frame alike, or that are too much: refused, and nothing
//! that follows them is read.

use super::support_http::{Client, GET, Server, refused};

/// What follows each of them: an answer to it would be the smuggler's gain.
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

/// Whole requests, or their beginnings.
const HEADS: &[(&[u8], u16)] = &[
    // The request line (RFC 9112 §3).
    (b"GET /\r\n\r\n", 400),
    (b"GET\r\n\r\n", 400),
    (b"GET HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b" GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400),
    (b"GET\t/\tHTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / http/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1x\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/11\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1,1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.10\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / ICE/1.0\r\nHost: x\r\n\r\n", 400),
    (b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET,POST / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"\x00GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /\x7f HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET file:///etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\nHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\rHost: x\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n", 400),
    (b"\nGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"\rGET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
    (b"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 501),
    (b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
    // The end of the head.
    (b"GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\n", 400),
    (b"GET / HTTP/1.1\nHost: x\n\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\r\n", 400),
    // HTTP/1.0 has no transfer codings (RFC 9112 §6.1).
    (
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n",
        400,
    ),
    (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
];

/// All that stands in `GET / HTTP/1.1` after the request line: `Host` (RFC 9112 §3.2).
const HOSTS: &[&[u8]] = &[
    b"",
    b"A: b\r\n",
    b"Host:\r\n",
    b"Host: \r\n",
    b"Host: a\r\nHost: b\r\n",
    b"Host: a\r\nHost: a\r\n",
    b"Host: a\r\nhost: a\r\n",
    b"Host: a, b\r\n",
    b"Host: a b\r\n",
    b"Host: a/b\r\n",
    b"Host: a@b\r\n",
    b"Host: http://a\r\n",
    b"Host: a:b\r\n",
    b"Host: a:80:80\r\n",
    b"Host: a:65536\r\n",
    b"Host: [::1\r\n",
    b"Host: ::1\r\n",
    b"Host: a%\r\n",
    b"Host: a?b\r\n",
    b"Host: \xc3\xa4\r\n",
];

/// A field line after a good `Host` (RFC 9112 §5).
const FIELDS: &[&[u8]] = &[
    b"A : b",
    b"A\t: b",
    b"A b: c",
    b": b",
    b"A",
    b"A\r\nB: c",
    b" A: b",
    b"\tA: b",
    b"A: b\r\n c",
    b"A: b\r\n\tc",
    b"A: b\r\n \r\nB: c",
    b"A: b\nB: c",
    b"A: b\rB: c",
    b"A: b\r\rB: c",
    b"A: \x00",
    b"A: b\x00c",
    b"A: \x01",
    b"A: \x0b",
    b"A: \x1b",
    b"A: \x7f",
    b"A\x00: b",
    b"A\xc3\xa4: b",
    b"A(b): c",
    b"A/b: c",
    b"\"A\": b",
    b"Connection: a b",
    b"Connection: clo\"se",
];

/// The lines that frame the body of a `POST` (RFC 9112 §6).
const FRAMINGS: &[(&[u8], u16)] = &[
    (b"Content-Length:", 400),
    (b"Content-Length: +0", 400),
    (b"Content-Length: -0", 400),
    (b"Content-Length: -1", 400),
    (b"Content-Length: 0x0", 400),
    (b"Content-Length: 0 0", 400),
    (b"Content-Length: 0,0", 400),
    (b"Content-Length: 0, 0", 400),
    (b"Content-Length: 0;", 400),
    (b"Content-Length: 0.0", 400),
    (b"Content-Length: 1e1", 400),
    (b"Content-Length: \"0\"", 400),
    (b"Content-Length: a", 400),
    (b"Content-Length: \xef\xbc\x90", 400),
    (b"Content-Length: 0\r\nContent-Length: 0", 400),
    (b"Content-Length: 0\r\nContent-Length: 5", 400),
    (b"Content-Length: 5\r\ncontent-length: 0", 400),
    (b"Content-Length: 0\r\n 5", 400),
    (b"Content-Length : 0", 400),
    (b"Content-Length\t: 0", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
    (b"Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
    (b"Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: identity\r\nContent-Length: 0", 400),
    (b"Transfer-Encoding:", 400),
    (b"Transfer-Encoding: ,", 400),
    (b"Transfer-Encoding: ,chunked", 400),
    (b"Transfer-Encoding: chunked,", 400),
    (b"Transfer-Encoding: chunked, chunked", 400),
    (
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        400,
    ),
    (
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        400,
    ),
    (
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        400,
    ),
    (b"Transfer-Encoding: chunked, gzip", 400),
    (b"Transfer-Encoding: chunked, identity", 400),
    (b"Transfer-Encoding: gzip", 400),
    (b"Transfer-Encoding: xchunked", 400),
    (b"Transfer-Encoding: chunkedx", 400),
    (b"Transfer-Encoding: chunked;a=b", 400),
    (b"Transfer-Encoding: \"chunked\"", 400),
    (b"Transfer-Encoding: chunked chunked", 400),
    (b"Transfer-Encoding: \x0bchunked", 400),
    (b"Transfer-Encoding: chunked\x00", 400),
    (b"Transfer-Encoding : chunked", 400),
    (b"Transfer-Encoding\t: chunked", 400),
    (b"Transfer-Encoding:\r\n chunked", 400),
    (b"Transfer-Encoding: gzip, chunked", 501),
    (b"Transfer-Encoding: identity, chunked", 501),
];

/// The body of a `POST` with `Transfer-Encoding: chunked` (RFC 9112 §7.1).
const CHUNKS: &[&[u8]] = &[
    b"\r\n",
    b"x\r\n",
    b";\r\n",
    b" 0\r\n\r\n",
    b"0 \r\n\r\n",
    b"0\t\r\n\r\n",
    b"0x0\r\n\r\n",
    b"+0\r\n\r\n",
    b"-0\r\n\r\n",
    b"-1\r\na\r\n0\r\n\r\n",
    b"1_0\r\n\r\n",
    b"1,0\r\n\r\n",
    b"\"0\"\r\n\r\n",
    b"0\x00\r\n\r\n",
    b"\xef\xbc\x90\r\n\r\n",
    b"0\n\r\n",
    b"0\n\n",
    b"0\r\n\n",
    b"0\r\r\n",
    b"0\r0\r\n",
    b"1\na\r\n0\r\n\r\n",
    b"1\r\na\n0\r\n\r\n",
    b"1\r\na0\r\n\r\n",
    b"1\r\nab\r\n0\r\n\r\n",
    b"2\r\na\r\n0\r\n\r\n",
    b"1\r\n\r\n0\r\n\r\n",
    b"1;a\nb\r\nc\r\n0\r\n\r\n",
    b"1;a\rb\r\nc\r\n0\r\n\r\n",
    b"1;a\x00\r\nc\r\n0\r\n\r\n",
    b"00000000000000000\r\n\r\n",
    b"10000000000000000\r\n",
    b"0\r\nA : b\r\n\r\n",
    b"0\r\n A: b\r\n\r\n",
    b"0\r\nA\r\n\r\n",
    b"0\r\nA: b\r\n c\r\n\r\n",
    b"0\r\nA: b\n\r\n",
    b"0\r\nA: \x00\r\n\r\n",
    b"0\r\nA: b\r\n\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"0\r\nHost: y\r\n\r\n",
];

/// All of them as requests, each with the status it deserves.
fn malformed() -> Vec<(Vec<u8>, u16)> {
    let request = |line: &[u8], lines: &[u8], body: &[u8]| {
        [line, b" / HTTP/1.1\r\n", lines, b"\r\n", body].concat()
    };
    let field = |line: &[u8]| [b"Host: x\r\n", line, b"\r\n"].concat();
    let mut all = Vec::new();
    all.extend(HEADS.iter().map(|(head, status)| (head.to_vec(), *status)));
    all.extend(HOSTS.iter().map(|lines| (request(b"GET", lines, b""), 400)));
    all.extend(
        FIELDS
            .iter()
            .map(|line| (request(b"GET", &field(line), b""), 400)),
    );
    all.extend(
        FRAMINGS
            .iter()
            .map(|(line, status)| (request(b"POST", &field(line), b"0\r\n\r\n"), *status)),
    );
    let chunked = field(b"Transfer-Encoding: chunked");
    all.extend(
        CHUNKS
            .iter()
            .map(|body| (request(b"POST", &chunked, body), 400)),
    );
    assert!(all.len() > 180, "{} malformed requests", all.len());
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
fn malformed_requests_sent_byte_by_byte_are_refused_in_the_same_way() {
    let server = Server::start(&[]);
    let mut other = server.connect();
    let malformed = malformed();
    let mut clients: Vec<(Client, Vec<u8>)> = malformed
        .iter()
        .map(|(request, _)| (server.connect(), [request, SMUGGLED].concat()))
        .collect();
    let longest = clients.iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    for index in 0..longest {
        for (client, bytes) in &mut clients {
            if let Some(byte) = bytes.get(index) {
                client.send([*byte]);
            }
        }
        other.ask(); // by now the byte has been read
    }
    for ((client, _), (request, status)) in clients.iter_mut().zip(&malformed) {
        expect_refusal(client, request, *status);
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
