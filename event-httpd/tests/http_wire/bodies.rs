//! Bodies: read and dropped, announced, awaited.

use std::time::Duration;

use super::support_http::{Client, GET, Server, refused};

const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

fn post(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n")
}

#[track_caller]
fn expect_continue(client: &mut Client) {
    let bytes = client.take_exactly(CONTINUE.len());
    assert_eq!(String::from_utf8_lossy(&bytes), CONTINUE);
}

#[test]
fn a_body_is_read_and_dropped_and_the_next_request_answered() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for length in [
        0, 1, 2, 100, 4095, 4096, 4097, 65_535, 65_536, 1_048_575, 1_048_576,
    ] {
        // A body that looks like requests is a body all the same.
        let body: Vec<u8> = GET.iter().copied().cycle().take(length).collect();
        client.send(
            [
                post(&format!("Content-Length: {length}")).as_bytes(),
                &body,
                GET,
            ]
            .concat(),
        );
        assert_eq!(client.answer().status, 200, "{length}");
        assert_eq!(client.answer().status, 200, "{length}");
        for size in [1, 1000, 65_536] {
            if length / size > 5000 {
                continue;
            }
            let mut chunks = post("Transfer-Encoding: chunked").into_bytes();
            for chunk in body.chunks(size) {
                chunks.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                chunks.extend_from_slice(chunk);
                chunks.extend_from_slice(b"\r\n");
            }
            chunks.extend_from_slice(b"0\r\n\r\n");
            client.send([chunks.as_slice(), GET].concat());
            assert_eq!(client.answer().status, 200, "{length} in chunks of {size}");
            assert_eq!(client.answer().status, 200, "{length} in chunks of {size}");
        }
    }
}

#[test]
fn a_request_with_a_body_is_answered_after_the_body() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(post("Content-Length: 5") + "abcd");
    client.expect_silence(Duration::from_millis(100));
    client.send("e");
    assert_eq!(client.answer().status, 200);
    client.send(post("Transfer-Encoding: chunked") + "5\r\nabcde\r\n0\r\n");
    client.expect_silence(Duration::from_millis(100));
    client.send("\r\n");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for (lines, body) in [
        ("Expect: 100-continue\r\nContent-Length: 5", "abcde"),
        (
            "expect:100-Continue\r\nTransfer-Encoding: chunked",
            "5\r\nabcde\r\n0\r\n\r\n",
        ),
    ] {
        client.send(post(lines));
        expect_continue(&mut client);
        client.expect_silence(Duration::from_millis(50));
        client.send(body);
        assert_eq!(client.answer().status, 200, "{lines:?}");
        // The same after a request that was answered in the same turn.
        client.send([GET, post(lines).as_bytes()].concat());
        assert_eq!(client.answer().status, 200, "{lines:?}");
        expect_continue(&mut client);
        client.send(body);
        assert_eq!(client.answer().status, 200, "{lines:?}");
    }
}

#[test]
fn a_client_gets_100_continue_once_however_its_head_is_cut() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    let head = post("Expect: 100-continue\r\nContent-Length: 5");
    for cut in 1..head.len() {
        client.send(&head[..cut]);
        other.ask();
        client.send(&head[cut..]);
        expect_continue(&mut client);
        client.send("abc");
        other.ask();
        client.send("de");
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_client_that_does_not_wait_though_it_said_so_is_answered_straight() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for request in [
        post("Expect: 100-continue\r\nContent-Length: 5") + "abcde",
        post("Expect: 100-continue\r\nTransfer-Encoding: chunked") + "1\r\na\r\n0\r\n\r\n",
        // RFC 9110 §10.1.1: where there is no body to wait for, there is nothing to go on with.
        post("Expect: 100-continue\r\nContent-Length: 0"),
        post("Expect: 100-continue"),
        // RFC 9110 §10.1.1: HTTP/1.0 has no expectations.
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
         Content-Length: 2\r\n\r\nab"
            .to_owned(),
    ] {
        client.send(&request);
        assert_eq!(client.answer().status, 200, "{request:?}");
    }
    client.send(
        "POST / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\
         Content-Length: 2\r\n\r\n",
    );
    client.expect_silence(Duration::from_millis(100));
    client.send("ab");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn an_expectation_that_is_not_known_is_417() {
    let server = Server::start(&[]);
    for value in ["200-ok", "100-continue, x", "100", "x=y"] {
        let mut client = server.connect();
        client.send(post(&format!("Expect: {value}\r\nContent-Length: 5")));
        refused(&mut client, 417);
    }
}

#[test]
fn a_body_that_is_too_long_is_413_before_it_comes() {
    let server = Server::start(&[]);
    for lines in [
        "Content-Length: 1048577",
        "Content-Length: 1048577\r\nExpect: 100-continue",
        "Content-Length: 99999999999999999999999999",
    ] {
        let mut client = server.connect();
        client.send(post(lines));
        refused(&mut client, 413);
    }
    for chunk in ["100001\r\n", "fffffffffffffff\r\n", "100000;x\r\n"] {
        let mut client = server.connect();
        client.send(post("Transfer-Encoding: chunked") + "1\r\na\r\n" + chunk);
        refused(&mut client, 413);
    }
}

#[test]
fn the_limit_of_bodies_can_be_set() {
    let server = Server::start(&["--max-body-size", "100"]);
    let mut client = server.connect();
    let (half, chunk) = ("a".repeat(50), format!("32\r\n{}\r\n", "a".repeat(50)));
    client.send(post("Content-Length: 100") + &half + &half);
    assert_eq!(client.answer().status, 200);
    client.send(post("Transfer-Encoding: chunked") + &chunk + &chunk + "0\r\n\r\n");
    assert_eq!(client.answer().status, 200);
    client.send(post("Content-Length: 101"));
    refused(&mut client, 413);
    let mut client = server.connect();
    client.send(post("Transfer-Encoding: chunked") + &chunk + "33\r\n");
    refused(&mut client, 413);
}

#[test]
fn a_client_in_the_middle_of_sending_reads_its_refusal_whole() {
    let server = Server::start(&[]);
    for (head, status) in [
        (post("Content-Length: 3000000"), 413),
        (post("Transfer-Encoding: gzip, chunked"), 501),
        (post("Expect: nothing\r\nContent-Length: 1000000"), 417),
        ("GARBAGE\r\n\r\n".to_owned(), 400),
    ] {
        let mut client = server.connect();
        client.send(&head);
        // Most of this meets a server that has answered already and will not look at it.
        client.send(vec![b'a'; 3_000_000]);
        refused(&mut client, status);
    }
    server.until_entries(2);
}

#[test]
fn a_client_that_keeps_sending_slowly_reads_its_refusal_whole() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut other = server.connect();
    client.send(post("Content-Length: 3000000"));
    for _ in 0..20 {
        client.send([b'a'; 10_000]);
        other.expect_silence(Duration::from_millis(50));
    }
    refused(&mut client, 413);
}

#[test]
fn chunk_extensions_are_taken_by_their_grammar_and_refused_beside_it() {
    let server = Server::start(&[]);
    let post = |size_line: &str| {
        let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut client = server.connect();
        client.send(format!("{head}{size_line}\r\nhello\r\n0\r\n\r\n"));
        client.answer().status
    };
    for good in ["5", "5 ;ext=1", "5;a;b = \"c\\\"d\"", "5\t; a=b ; c"] {
        assert_eq!(post(good), 200, "{good:?}");
    }
    for bad in [
        "5 ", "5;", "5;=x", "5;a=", "5;a=\"b", "5;a b", "5;a=b c", "5;\u{1}",
    ] {
        assert_eq!(post(bad), 400, "{bad:?}");
    }
}
