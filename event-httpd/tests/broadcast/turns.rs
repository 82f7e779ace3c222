//! Messages that arrive in one turn of the loop are joined for their receivers.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::support_broadcast::{
    Peer, broadcast, counter, join, joined, message, pattern, post, stop,
};

const WHILE: Duration = Duration::from_millis(200);

/// Sends a message of that length from each of four senders in one turn.
fn one_turn(length: usize) {
    const SENDERS: usize = 4;
    const RECEIVERS: usize = 3;
    let server = broadcast(&[]);
    let mut senders = join(&server, SENDERS);
    let mut receivers = join(&server, RECEIVERS);
    let bodies = [b'a', b'b', b'c', b'd'].map(|mark| pattern(mark, length));
    let stopped = stop(server.process().id());
    for (sender, body) in senders.iter().zip(&bodies) {
        sender.send(body);
    }
    drop(stopped);
    for receiver in &mut receivers {
        for body in &bodies {
            receiver.expect(&message(body));
        }
    }
    for (number, sender) in senders.iter_mut().enumerate() {
        for (_, body) in bodies.iter().enumerate().filter(|(of, _)| *of != number) {
            sender.expect(&message(body));
        }
        sender.expect_silence(WHILE);
    }
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    let deliveries = (SENDERS * RECEIVERS + SENDERS * (SENDERS - 1)) as u64;
    assert_eq!(counter(&line, "deliveries"), deliveries, "{line}");
}

#[test]
fn short_messages_of_one_turn_reach_all_receivers_in_order_and_no_sender_its_own() {
    one_turn(100);
}

#[test]
fn messages_of_one_turn_too_long_to_be_joined_reach_all_receivers_in_order() {
    one_turn(30_000);
}

#[test]
fn a_client_that_connects_in_the_turn_of_a_message_receives_only_later_ones() {
    let server = broadcast(&[]);
    let [sender, mut receiver] = joined(&server);
    let stopped = stop(server.process().id());
    sender.send("before");
    let mut late = Peer::connect(&server);
    drop(stopped);
    receiver.expect(&message("before"));
    late.expect_silence(WHILE);
    sender.send("after");
    late.expect(&message("after"));
    receiver.expect(&message("after"));
}

#[test]
fn an_answer_follows_the_messages_that_came_before_its_request() {
    let server = broadcast(&["--framing", "http"]);
    let [mut first, mut second] = joined(&server);
    let stopped = stop(server.process().id());
    first.send(post("one"));
    second.send(post("two"));
    drop(stopped);
    assert_eq!(first.message_or_accepted(), None, "202 for its own");
    assert_eq!(first.message_or_accepted().as_deref(), Some(&b"two"[..]));
    assert_eq!(second.message_or_accepted().as_deref(), Some(&b"one"[..]));
    assert_eq!(second.message_or_accepted(), None, "202 for its own");
}

#[test]
fn a_last_answer_follows_the_messages_that_came_before_its_request() {
    let server = broadcast(&["--framing", "http"]);
    let [first, mut second] = joined(&server);
    let stopped = stop(server.process().id());
    first.send(post("one"));
    second.send("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    drop(stopped);
    second.expect(&message("one"));
    let rest = String::from_utf8(second.rest()).unwrap();
    assert!(rest.starts_with("HTTP/1.1 202 "), "{rest}");
}
