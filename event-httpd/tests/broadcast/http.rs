//! `--framing http`: the body of a request is a message.

use std::thread;
use std::time::Duration;

use super::support_broadcast::{ACCEPTED, Peer, broadcast, join, joined, message, pattern, post};
use super::support_http::Server;

const WHILE: Duration = Duration::from_millis(200);

fn http(options: &[&str]) -> Server {
    broadcast(&[&["--framing", "http"], options].concat())
}

#[test]
fn a_body_with_a_length_goes_to_the_others_and_its_sender_gets_202() {
    let server = http(&[]);
    let [mut sender, mut second, mut third] = joined(&server);
    sender.send("PUT /any?thing HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    sender.expect(b"HTTP/1.1 202 Accepted\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    second.expect(&message("hello"));
    third.expect(&message("hello"));
    sender.expect_silence(WHILE);
}

#[test]
fn the_chunks_of_a_body_are_one_message() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    sender.send(head);
    for part in [
        "5\r\nhello\r\n",
        "1;a=b\r\n,\r\n",
        "6\r\n wor",
        "ld\r\n0\r\nTrailer: 1\r\n",
    ] {
        sender.send(part);
    }
    receiver.expect_silence(WHILE);
    sender.send("\r\n");
    sender.expect(ACCEPTED);
    receiver.expect(&message("hello, world"));
}

#[test]
fn a_body_that_arrives_in_pieces_is_one_message() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    for byte in post("in pieces") {
        sender.send([byte]);
    }
    sender.expect(ACCEPTED);
    receiver.expect(&message("in pieces"));
}

#[test]
fn pipelined_bodies_are_messages_of_their_own_in_order() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    let requests: Vec<Vec<u8>> = (0..500).map(|n| post(format!("message {n}"))).collect();
    sender.send(requests.concat());
    for n in 0..500 {
        sender.expect(ACCEPTED);
        receiver.expect(&message(format!("message {n}")));
    }
    sender.expect_silence(WHILE);
}

#[test]
fn a_request_without_a_body_is_no_message() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    for request in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        sender.send(request);
        sender.expect(ACCEPTED);
    }
    receiver.expect_silence(WHILE);
}

#[test]
fn a_sender_that_asks_for_the_end_gets_its_202_and_the_end() {
    let server = http(&[]);
    let [mut sender, mut old, mut receiver] = joined(&server);
    sender.send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlast");
    sender.expect(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    sender.expect_close();
    receiver.expect(&message("last"));
    old.expect(&message("last"));
    old.send("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nold");
    old.expect(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    old.expect_close();
    receiver.expect(&message("old"));
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it_and_then_202() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    sender.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    sender.expect(b"HTTP/1.1 100 Continue\r\n\r\n");
    sender.send("go");
    sender.expect(ACCEPTED);
    receiver.expect(&message("go"));
}

#[test]
fn the_answer_to_a_sender_has_the_header_lines_too() {
    let server = http(&["--header", "A: 1"]);
    for last in ["", "Connection: close\r\n"] {
        let mut sender = server.connect();
        sender.send(format!(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n{last}\r\ngo"
        ));
        let answer = sender.answer_to_head();
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.field("A"), Some("1"), "{answer:?}");
    }
}

#[test]
fn a_bad_request_gets_4xx_and_a_close_and_reaches_no_one() {
    let server = http(&["--max-body-size", "1KiB", "--max-header-size", "1KiB"]);
    let [sender, mut receiver] = joined(&server);
    let long_head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(2000)
    );
    let requests = [
        (400, "hello\n\r\n"),
        (400, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"),
        (
            400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
        ),
        (
            400,
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
        ),
        (
            413,
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n",
        ),
        (
            413,
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n",
        ),
        (431, &long_head),
    ];
    for (status, request) in requests {
        let mut bad = Peer::connect(&server);
        bad.send(request);
        let answer = String::from_utf8(bad.rest()).unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} "))
                && answer.contains("Connection: close"),
            "{answer:?} to {request:?}"
        );
    }
    receiver.expect_silence(WHILE);
    // The good ones are heard all the same, up to the byte.
    sender.send(post("x".repeat(1024)));
    receiver.expect(&message("x".repeat(1024)));
}

#[test]
fn good_requests_before_a_bad_one_are_answered_and_delivered() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    sender.send(
        [
            post("one"),
            post("two"),
            b"bad\r\n\r\n".to_vec(),
            post("three"),
        ]
        .concat(),
    );
    sender.expect(ACCEPTED);
    sender.expect(ACCEPTED);
    sender.expect(b"HTTP/1.1 400 ");
    receiver.expect(&message("one"));
    receiver.expect(&message("two"));
    receiver.expect_silence(WHILE);
}

#[test]
fn a_body_whose_sender_leaves_is_not_delivered() {
    let server = http(&[]);
    let [half, sender, mut receiver] = joined(&server);
    half.send(&post("x".repeat(1000))[..800]);
    half.half_close();
    drop(half);
    let reset = Peer::connect(&server);
    reset.send(&post("y".repeat(1000))[..800]);
    drop(reset);
    receiver.expect_silence(WHILE);
    sender.send(post("whole"));
    receiver.expect(&message("whole"));
}

#[test]
fn idle_and_late_clients_are_limited_as_everywhere_in_http() {
    let server = http(&["--idle-timeout", "300ms", "--header-timeout", "150ms"]);
    let [mut idle, mut late_head, mut late_body] = joined(&server);
    late_head.send("POST / HTTP/1.1\r\n");
    late_body.send(&post("late")[..50]);
    idle.expect_close();
    late_head.expect(b"HTTP/1.1 408 ");
    late_body.expect(b"HTTP/1.1 408 ");
}

#[test]
fn delivered_to_the_sender_the_copies_and_the_202_both_arrive() {
    let server = http(&["--deliver", "sender"]);
    let [mut sender, mut second, mut third] = joined(&server);
    sender.send(post("mine"));
    let all = [ACCEPTED.to_vec(), message("mine"), message("mine")];
    assert_some_order(&mut sender, &all);
    second.expect_silence(WHILE);
    third.expect_silence(WHILE / 10);
}

#[test]
fn delivered_to_everyone_the_sender_gets_its_message_and_the_202() {
    let server = http(&["--deliver", "everyone"]);
    let [mut sender, mut receiver] = joined(&server);
    for _ in 0..3 {
        sender.send(post("ours"));
        assert_some_order(&mut sender, &[ACCEPTED.to_vec(), message("ours")]);
        receiver.expect(&message("ours"));
    }
}

/// These come, each whole, the first of them at either end.
#[track_caller]
fn assert_some_order(peer: &mut Peer, parts: &[Vec<u8>]) {
    let forward = parts.concat();
    let mut last_first = parts.to_vec();
    last_first.rotate_left(1);
    let got = peer.take(forward.len());
    assert!(
        got == forward || got == last_first.concat(),
        "{}",
        got.escape_ascii()
    );
}

#[test]
fn a_receiver_may_send_while_messages_come() {
    let server = http(&[]);
    let [mut first, mut second] = joined(&server);
    // Half a request, then a message from the other, then the other half.
    let request = post("from the first");
    first.send(&request[..20]);
    second.send(post("from the second"));
    second.expect(ACCEPTED);
    first.expect(&message("from the second"));
    first.send(&request[20..]);
    first.expect(ACCEPTED);
    second.expect(&message("from the first"));
}

#[test]
fn counters_distinguish_requests_and_messages() {
    let server = http(&[]);
    let [mut sender, mut receiver] = joined(&server);
    sender.send([post("one"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()].concat());
    sender.expect(ACCEPTED);
    sender.expect(ACCEPTED);
    receiver.expect(&message("one"));
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    let last = log.iter().rfind(|line| line.contains("counters")).unwrap();
    for part in [" requests=2 ", " messages=1 ", " deliveries=1 "] {
        assert!(last.contains(part), "{part} in {last}");
    }
}

/// A request whose body lacks its last bytes, `missing` of them.
fn unfinished(length: usize, missing: usize) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        length + missing
    );
    [head.into_bytes(), pattern(b'u', length)].concat()
}

#[test]
fn stalled_bodies_make_room_for_those_that_arrive() {
    let options = ["--framing", "http", "--max-queue-total", "8MiB"];
    let server = broadcast(&options);
    let [mut reader] = joined(&server);
    let mut stalled = join(&server, 8);
    for (peer, length) in stalled
        .iter_mut()
        .zip([1000, 900, 800, 700, 500, 50, 40, 30])
    {
        peer.send(unfinished(length << 10, 1));
    }
    thread::sleep(Duration::from_millis(1500)); // they have stalled by then
    let [mut honest] = joined(&server);
    for round in 0..20 {
        let body = pattern(b'a' + round, 100 << 10);
        honest.send(post(&body));
        honest.expect(ACCEPTED);
        reader.expect(&message(&body));
    }
    let refused = String::from_utf8(stalled[0].rest()).unwrap();
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    // The smallest is still there, and is a message when it is complete.
    assert_eq!(stalled[7].messages(20 * (100 << 10)).len(), 20);
    stalled[7].send("!");
    stalled[7].expect(ACCEPTED);
}

#[test]
fn a_body_that_trickles_is_refused_and_one_that_keeps_its_pace_is_not() {
    let options = ["--framing", "http", "--header-timeout", "600ms"];
    let server = broadcast(&options);
    let [mut slow, mut steady] = joined(&server);
    slow.send(unfinished(10 << 10, 1000));
    let length = 40 << 10;
    steady.send(format!(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    ));
    for part in pattern(b's', length).chunks(4 << 10) {
        steady.send(part);
        thread::sleep(Duration::from_millis(200));
        slow.try_send("x").ok();
    }
    steady.expect(ACCEPTED);
    let refused = String::from_utf8(slow.rest()).unwrap();
    assert!(refused.contains("HTTP/1.1 408 "), "{refused}");
}
