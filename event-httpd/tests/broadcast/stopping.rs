//! What has been taken is delivered before the server ends.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support_broadcast::{Peer, broadcast, joined, message, pattern, post, sockets, stop};
use super::support_http::{Server, until};

const MIB: usize = 1 << 20;

/// A server with a reader for which three MiB wait.
fn with_a_reader_behind(options: &[&str]) -> (Server, Peer, Peer) {
    let server = broadcast(&[options, &["--max-queue", "64MiB"]].concat());
    let [sender, mut fast] = joined(&server);
    let before = sockets(&server);
    let slow = Peer::narrow(&server);
    until("it is accepted", || {
        (sockets(&server) > before).then_some(())
    });
    for part in 0..12 {
        sender.send(pattern(b'a' + part, MIB));
        assert_eq!(fast.messages(MIB).concat().len(), MIB);
    }
    (server, sender, slow)
}

#[test]
fn sigquit_and_sigterm_deliver_what_waits() {
    for signal in [Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGINT] {
        let (server, mut sender, mut slow) = with_a_reader_behind(&["--grace", "60s"]);
        server.process().signal(signal);
        sender.expect_close(); // for whom nothing waits
        for part in 0..12 {
            assert!(
                slow.messages(MIB).concat() == pattern(b'a' + part, MIB),
                "{signal}"
            );
        }
        slow.expect_close();
        let (status, _) = server.end();
        assert_eq!(status.code(), Some(0), "{signal}");
    }
}

#[test]
fn a_reader_that_takes_nothing_does_not_outlast_the_grace() {
    let (server, _sender, mut slow) = with_a_reader_behind(&["--grace", "300ms"]);
    let start = Instant::now();
    server.process().signal(Signal::SIGTERM);
    let (status, log) = server.end();
    assert_eq!(status.code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(
        log.iter()
            .any(|line| line.contains("cut off at the end of the grace")),
        "{log:?}"
    );
    slow.rest();
}

#[test]
fn what_was_sent_before_the_signal_is_delivered_after_it() {
    let server = broadcast(&["--grace", "60s"]);
    let [sender, mut receiver] = joined(&server);
    let pid = server.process().id();
    let stopped = stop(pid);
    sender.send("in time");
    server.process().signal(Signal::SIGTERM);
    drop(stopped);
    receiver.expect(&message("in time"));
    receiver.expect_close();
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_request_begun_before_the_signal_still_becomes_a_message() {
    let server = broadcast(&["--framing", "http", "--grace", "60s"]);
    let [mut sender, mut receiver, mut also] = joined(&server);
    let request = post("the rest comes late");
    sender.send(&request[..request.len() - 4]);
    also.send(&request[..30]); // so that there is someone to hear it
    sender.expect_silence(Duration::from_millis(100)); // it has been read by then
    server.process().signal(Signal::SIGQUIT);
    receiver.expect_close(); // it had nothing to wait for
    sender.send(&request[request.len() - 4..]);
    sender.expect(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n");
    also.expect(&message("the rest comes late"));
    also.send(&request[30..]);
    also.expect(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn while_it_waits_for_its_last_requests_new_connections_are_refused() {
    for signal in [Signal::SIGQUIT, Signal::SIGTERM] {
        let server = broadcast(&["--framing", "http", "--grace", "60s"]);
        let [mut sender] = joined(&server);
        let request = post("late");
        sender.send(&request[..20]);
        sender.expect_silence(Duration::from_millis(100)); // it has been read by then
        server.process().signal(signal);
        server.line("stopping");
        until("connecting is refused", || {
            let again = Peer::try_connect(server.address(), |_socket| Ok(()));
            again.is_err().then_some(())
        });
        sender.send(&request[20..]);
        sender.expect(b"HTTP/1.1 202 Accepted\r\nConnection: close\r\n");
        assert_eq!(server.end().0.code(), Some(0));
    }
}
