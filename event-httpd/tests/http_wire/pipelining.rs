//! Requests that arrive together, and requests that arrive in parts.

use super::support_http::{Client, GET, Server};

/// Good requests of every shape that keep the connection, and whether they are answered by a
/// head alone.
const SHAPES: [(&str, bool); 9] = [
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", false),
    ("HEAD /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n", true),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        false,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nGET / HTTP/",
        false,
    ),
    (
        "PUT /p HTTP/1.1\r\nContent-Length:4\r\nHost:x\r\n\r\n\r\n\r\n",
        false,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        false,
    ),
    (
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         4\r\n\r\n\r\n\r\nA;x=\"y\"\r\n0123456789\r\n000\r\nTrailer: 1\r\nT:\r\n\r\n",
        false,
    ),
    (
        "HEAD / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        true,
    ),
    ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false),
];

fn take(client: &mut Client, head_only: bool) {
    let answer = if head_only {
        client.answer_to_head()
    } else {
        client.answer()
    };
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("Connection"), Some("keep-alive"), "{answer:?}");
}

#[test]
fn pipelined_requests_are_answered_one_by_one_in_their_order() {
    // Also where hardly an answer may wait for another.
    for options in [&[][..], &["--max-queue", "64"]] {
        let server = Server::start(options);
        let mut client = server.connect();
        let mut random = fastrand::Rng::with_seed(2);
        for count in [2, 3, 4, 5, 7, 10, 16, 31, 64, 100, 127, 255, 400, 500].repeat(5) {
            let shapes: Vec<_> = (0..count)
                .map(|_| SHAPES[random.usize(..SHAPES.len())])
                .collect();
            let bytes: String = shapes.iter().map(|shape| shape.0).collect();
            client.send(bytes);
            // Only a head answered without a body in the right place lets the rest be read.
            for (_, head_only) in shapes {
                take(&mut client, head_only);
            }
        }
    }
}

#[test]
fn pipelined_requests_cut_anywhere_are_answered_one_by_one_in_their_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..100 {
        let shapes: Vec<_> = (0..50)
            .map(|_| SHAPES[random.usize(..SHAPES.len())])
            .collect();
        let bytes: String = shapes.iter().map(|shape| shape.0).collect();
        let mut rest = bytes.as_str();
        while !rest.is_empty() {
            let (part, tail) = rest.split_at(random.usize(1..=rest.len().min(700)));
            client.send(part);
            rest = tail;
        }
        for (_, head_only) in shapes {
            take(&mut client, head_only);
        }
    }
}

#[test]
fn a_request_cut_at_any_byte_is_answered_once_and_not_before_its_end() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    for (request, head_only) in SHAPES {
        for cut in 1..request.len() {
            let (first, second) = request.split_at(cut);
            client.send(first);
            // The server has seen the first part when it has answered what came after it.
            other.ask();
            client.send(second);
            take(&mut client, head_only);
        }
    }
    client.ask();
}

#[test]
fn a_request_a_byte_at_a_time_is_answered_once_and_not_before_its_end() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    for (request, head_only) in SHAPES {
        for byte in request.as_bytes() {
            client.send([*byte]);
            other.ask();
        }
        take(&mut client, head_only);
    }
    client.ask();
}

#[test]
fn a_cut_between_two_requests_changes_nothing() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    for cut in 0..GET.len() {
        client.send([GET, &GET[..cut]].concat());
        take(&mut client, false);
        other.ask();
        client.send([&GET[cut..], GET].concat());
        take(&mut client, false);
        take(&mut client, false);
    }
}
