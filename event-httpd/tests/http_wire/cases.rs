//! The table in `tests/http_cases`, sent to a running server: in one piece, in two, and byte by
//! byte.

use std::io::Write as _;

use test_support::http_cases::{self, Body, Case, Verdict};

use super::support_broadcast::{Peer, broadcast, message};
use super::support_http::{Client, LAST, Server};
use test_support::raise_descriptor_limit;

/// Connections open at a time.
const AT_A_TIME: usize = 100;

/// Longer rows are not sent byte by byte.
const SINGLE_BYTES_MAX: usize = 300;

/// What a client sends for a case: after the end of the request comes the last one of the
/// connection.
fn stream(case: &Case) -> Vec<u8> {
    if case.is_open() {
        return case.bytes.clone();
    }
    [&case.bytes, LAST].concat()
}

/// Reads all answers, and checks that they are those of the table and that the connection ends.
#[track_caller]
fn expect_verdicts(client: &mut Client, case: &Case, served: u16) {
    let what = format!("{} (RFC {})", case.name, case.rfc);
    for verdict in &case.verdicts {
        let (status, body, connection) = match verdict {
            Verdict::Keep(body) => (served, Some(body), None),
            Verdict::Close(body) => (served, Some(body), Some("close")),
            Verdict::Refused(status) => (*status, None, Some("close")),
            Verdict::More => {
                client.half_close();
                break;
            }
        };
        let mut answer = next(client, body);
        while answer.status == 100 {
            answer = next(client, body);
        }
        assert_eq!(answer.status, status, "{what}: {}", answer.head);
        if connection.is_some() {
            assert_eq!(answer.field("Connection"), connection, "{what}");
        }
    }
    if let Some(Verdict::Keep(_)) = case.verdicts.last() {
        let last = client.answer();
        assert_eq!(last.status, served, "{what}: the next request, {last:?}");
    }
    assert_eq!(client.rest(), b"", "{what}: nothing else is answered");
}

#[track_caller]
fn next(client: &mut Client, body: Option<&Body>) -> super::support_http::Response {
    match body {
        Some(Body::Head) => client.answer_to_head(),
        _ => client.answer(),
    }
}

/// Sends each of the cases in the parts that `cut` gives, and waits after each part until the
/// server has read it.
#[track_caller]
fn send_in_parts(server: &Server, cases: &[Case], served: u16, cut: impl Fn(&[u8]) -> Vec<&[u8]>) {
    let mut other = server.connect();
    for cases in cases.chunks(AT_A_TIME) {
        let streams: Vec<Vec<u8>> = cases.iter().map(stream).collect();
        let parts: Vec<Vec<&[u8]>> = streams.iter().map(|stream| cut(stream)).collect();
        let mut clients: Vec<Client> = cases.iter().map(|_| server.connect()).collect();
        let most = parts.iter().map(Vec::len).max().unwrap_or_default();
        for index in 0..most {
            for ((client, case), parts) in clients.iter_mut().zip(cases).zip(&parts) {
                let Some(part) = parts.get(index) else {
                    continue;
                };
                match case.verdicts.last() {
                    Some(Verdict::Keep(_) | Verdict::More) => client.send(part),
                    // The server may have closed.
                    _ => client.socket().write_all(part).unwrap_or_default(),
                }
            }
            other.send(super::support_http::GET);
            assert_eq!(other.answer().status, served);
        }
        for (client, case) in clients.iter_mut().zip(cases) {
            expect_verdicts(client, case, served);
        }
    }
}

fn halves_at(part: usize) -> impl Fn(&[u8]) -> Vec<&[u8]> {
    move |bytes| {
        let (first, second) = bytes.split_at(bytes.len() * part / 8);
        vec![first, second]
    }
}

/// The cases that are short enough to be sent byte by byte.
fn short() -> Vec<Case> {
    let mut cases = http_cases::all();
    cases.retain(|case| case.bytes.len() <= SINGLE_BYTES_MAX);
    assert!(cases.len() > 400, "{} short cases", cases.len());
    cases
}

#[test]
fn serve_gives_every_case_its_verdict_in_one_piece() {
    raise_descriptor_limit();
    let server = Server::start(&[]);
    send_in_parts(&server, &http_cases::all(), 200, |bytes| vec![bytes]);
    server.until_entries(2);
}

#[test]
fn serve_gives_every_case_its_verdict_in_two_pieces() {
    raise_descriptor_limit();
    let server = Server::start(&[]);
    for part in [1, 3, 5, 7] {
        send_in_parts(&server, &http_cases::all(), 200, halves_at(part));
    }
    server.until_entries(2);
}

#[test]
#[ignore = "takes minutes"]
fn serve_gives_every_case_its_verdict_cut_at_every_byte() {
    raise_descriptor_limit();
    let server = Server::start(&[]);
    for (at, cases) in http_cases::at_every_cut(SINGLE_BYTES_MAX) {
        send_in_parts(&server, &cases, 200, |bytes| {
            <[_; 2]>::from(bytes.split_at(at)).to_vec()
        });
    }
    server.until_entries(2);
}

#[test]
#[ignore = "takes minutes"]
fn broadcast_gives_every_case_its_verdict_cut_at_every_byte() {
    raise_descriptor_limit();
    let server = broadcast(&["--framing", "http"]);
    for (at, mut cases) in http_cases::at_every_cut(SINGLE_BYTES_MAX) {
        cases.retain(has_no_message);
        send_in_parts(&server, &cases, 202, |bytes| {
            <[_; 2]>::from(bytes.split_at(at)).to_vec()
        });
    }
}

#[test]
fn serve_gives_every_case_its_verdict_byte_by_byte() {
    raise_descriptor_limit();
    let server = Server::start(&[]);
    send_in_parts(&server, &short(), 200, |bytes| bytes.chunks(1).collect());
    server.until_entries(2);
}

#[test]
fn broadcast_gives_every_case_its_verdict_and_passes_on_the_bodies_it_takes() {
    let server = broadcast(&["--framing", "http"]);
    let mut receiver = Peer::connect(&server);
    for case in http_cases::all() {
        let mut client = server.connect();
        client.send(stream(&case));
        expect_verdicts(&mut client, &case, 202);
        for verdict in &case.verdicts {
            if let Verdict::Keep(body) | Verdict::Close(body) = verdict
                && !body.content().is_empty()
            {
                receiver.expect(&message(body.content()));
            }
        }
    }
    // What was refused has reached no one: the next message is this one.
    let mut client = server.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nend");
    assert_eq!(client.answer().status, 202);
    receiver.expect(&message("end"));
}

/// Messages would come between the answers of other connections.
fn has_no_message(case: &Case) -> bool {
    let is_message = |verdict: &Verdict| match verdict {
        Verdict::Keep(body) | Verdict::Close(body) => !body.content().is_empty(),
        _ => false,
    };
    !case.verdicts.iter().any(is_message)
}

#[test]
fn broadcast_gives_every_case_its_verdict_in_pieces() {
    raise_descriptor_limit();
    let server = broadcast(&["--framing", "http"]);
    let mut cases = http_cases::all();
    cases.retain(has_no_message);
    assert!(cases.len() > 300, "{} cases without a message", cases.len());
    send_in_parts(&server, &cases, 202, halves_at(4));
    cases.retain(|case| case.bytes.len() <= SINGLE_BYTES_MAX);
    send_in_parts(&server, &cases, 202, |bytes| bytes.chunks(1).collect());
}
