//! What a peer may take its time for, and for how long.

use std::time::{Duration, Instant};

use super::support_http::{Client, GET, Server, narrow, refused, until};

const STEP: Duration = Duration::from_millis(50);
const SHORT: Duration = Duration::from_millis(300);
/// Later than this is not `SHORT` after any start, however loaded the machine.
const LATE: Duration = Duration::from_secs(3);

/// A server with short deadlines for heads (300 ms) and long ones for all else.
fn hurried() -> Server {
    Server::start(&["--header-timeout", "300ms"])
}

/// A server with short deadlines for everything but heads.
fn impatient() -> Server {
    Server::start(&["--idle-timeout", "300ms"])
}

#[track_caller]
fn assert_short(since: Instant) {
    let elapsed = since.elapsed();
    // A timer may be a few milliseconds coarse.
    assert!(
        elapsed > SHORT - Duration::from_millis(20),
        "already after {elapsed:?}"
    );
    assert!(elapsed < LATE, "only after {elapsed:?}");
}

/// Sends `bytes` one by one, a step between them, until the server has something to say.
#[track_caller]
fn trickle(client: &mut Client, bytes: impl IntoIterator<Item = u8>) {
    for byte in bytes {
        client.send([byte]);
        if client.readable_within(STEP) {
            return;
        }
    }
    panic!("all of it was waited for");
}

#[test]
fn a_head_that_stops_is_408_after_its_deadline() {
    let server = hurried();
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r"] {
        let mut client = server.connect();
        let start = Instant::now();
        client.send(part);
        refused(&mut client, 408);
        assert_short(start);
    }
}

#[test]
fn a_head_that_trickles_is_408_after_its_deadline() {
    let server = hurried();
    let mut client = server.connect();
    let start = Instant::now();
    trickle(
        &mut client,
        GET.iter().copied().take(GET.len() - 2).cycle().take(1000),
    );
    refused(&mut client, 408);
    assert_short(start);
}

#[test]
fn a_second_head_has_its_own_deadline_from_its_own_first_byte() {
    let server = hurried();
    let mut client = server.connect();
    // Neither a silent connection nor one that was answered is on the clock of heads.
    client.expect_silence(SHORT * 2);
    client.ask();
    client.expect_silence(SHORT * 2);
    let start = Instant::now();
    client.send("GET /");
    refused(&mut client, 408);
    assert_short(start);
}

#[test]
fn a_head_after_a_request_in_the_same_write_has_its_deadline() {
    let server = hurried();
    let mut client = server.connect();
    let start = Instant::now();
    client.send([GET, b"GET / HTTP/1.1\r\n"].concat());
    assert_eq!(client.answer().status, 200);
    refused(&mut client, 408);
    assert_short(start);
}

#[test]
fn requests_that_keep_coming_have_no_deadline_together() {
    let server = Server::start(&["--header-timeout", "300ms", "--idle-timeout", "300ms"]);
    let mut client = server.connect();
    let start = Instant::now();
    // Each begins in one write and ends in the next, so that there is never a moment without
    // a head begun.
    client.send(&GET[..10]);
    while start.elapsed() < SHORT * 4 {
        client.expect_silence(STEP);
        client.send([&GET[10..], &GET[..10]].concat());
        assert_eq!(client.answer().status, 200);
    }
}

#[test]
fn a_connection_without_a_request_is_closed_silently() {
    let server = impatient();
    for first in [&b""[..], b"\r\n"] {
        let mut client = server.connect();
        let start = Instant::now();
        client.send(first);
        client.expect_close();
        assert_short(start);
    }
}

#[test]
fn a_connection_without_another_request_is_closed_silently() {
    let server = impatient();
    for request in [
        GET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
    ] {
        let mut client = server.connect();
        let start = Instant::now();
        client.send(request);
        assert_eq!(client.answer().status, 200);
        client.expect_close();
        assert_short(start);
    }
}

#[test]
fn a_connection_with_requests_now_and_then_is_kept() {
    let server = impatient();
    let mut client = server.connect();
    let start = Instant::now();
    while start.elapsed() < SHORT * 4 {
        client.expect_silence(STEP * 2);
        client.ask();
    }
}

#[test]
fn idle_connections_are_closed_each_at_its_own_time() {
    let server = impatient();
    let mut opener = server.connect();
    let mut clients = Vec::new();
    for _ in 0..10 {
        opener.ask();
        opener.expect_silence(STEP);
        clients.push((Instant::now(), server.connect()));
    }
    for (start, client) in &mut clients {
        client.expect_close();
        assert_short(*start);
    }
}

#[test]
fn a_body_that_stops_is_408_after_the_idle_deadline() {
    let server = impatient();
    for part in [
        "Content-Length: 10\r\n\r\n",
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nA: b\r\n",
    ] {
        let mut client = server.connect();
        let start = Instant::now();
        client.send(format!("POST / HTTP/1.1\r\nHost: x\r\n{part}"));
        refused(&mut client, 408);
        assert_short(start);
    }
}

#[test]
fn a_body_that_was_waited_for_and_never_came_is_408() {
    let server = impatient();
    let mut client = server.connect();
    let start = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.answer().status, 100);
    refused(&mut client, 408);
    assert_short(start);
}

#[test]
fn a_body_that_trickles_is_408_after_the_idle_deadline() {
    let server = impatient();
    let mut client = server.connect();
    let start = Instant::now();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    trickle(&mut client, std::iter::repeat_n(b'a', 200));
    refused(&mut client, 408);
    assert_short(start);
}

#[test]
fn a_peer_that_does_not_read_is_closed_after_the_idle_deadline() {
    let server = impatient();
    server.connect().ask();
    server.until_entries(2);
    let before = server.process().descriptors();
    let mut client = narrow(&server);
    let start = Instant::now();
    client.send_until_stuck(GET, 64 << 20);
    until("the peer is let go", || {
        (server.process().descriptors() <= before).then_some(())
    });
    assert!(start.elapsed() > SHORT, "{:?}", start.elapsed());
    server.until_entries(2);
    // What had left by then is still answers and nothing else.
    assert!(client.rest().starts_with(b"HTTP/1.1 200 OK\r\n"));
}
