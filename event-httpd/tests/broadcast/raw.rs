//! The tutorial's framing: what one read returns is a message.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::support_broadcast::{
    Peer, arguments, broadcast, counter, join, joined, message, pattern, stop,
};
use super::support_http::{Server, event_httpd, printed, until};

/// Long enough for what should not come to come.
const WHILE: Duration = Duration::from_millis(200);

#[test]
fn what_one_client_sends_every_other_gets_as_a_response_in_the_tutorials_bytes() {
    let server = broadcast(&[]);
    let [mut sender, mut second, mut third] = joined(&server);
    sender.send("hello\n");
    for receiver in [&mut second, &mut third] {
        receiver.expect(
            b"HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
              Connection: keep-alive\r\nContent-Length:6\r\n\r\nhello\n",
        );
    }
    sender.expect_silence(WHILE);
    // And back: each client is a sender and a receiver.
    third.send("and you");
    for receiver in [&mut sender, &mut second] {
        receiver.expect(&message("and you"));
    }
    third.expect_silence(WHILE);
}

#[test]
fn every_byte_passes_as_it_is() {
    let server = broadcast(&["--framing", "raw", "--deliver", "others"]);
    let [sender, mut receiver] = joined(&server);
    let all: Vec<u8> = (0..=255).collect();
    let bodies: [&[u8]; 6] = [
        &all,
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        "世界".as_bytes(),
    ];
    for body in bodies {
        sender.send(body);
        receiver.expect(&message(body));
    }
}

#[test]
fn what_is_longer_than_one_read_arrives_whole_in_several_messages() {
    let server = broadcast(&["--max-queue", "64MiB"]);
    let [sender, mut receiver] = joined(&server);
    let sent = pattern(b'a', 3 << 20);
    sender.send(&sent);
    let bodies = receiver.messages(sent.len());
    assert!(bodies.len() > 1, "the server's buffer is smaller than that");
    assert!(bodies.concat() == sent);
}

#[test]
fn a_message_of_the_only_client_reaches_nobody() {
    for deliver in ["others", "sender"] {
        let server = broadcast(&["--deliver", deliver]);
        let [mut alone] = joined(&server);
        alone.send("is there anybody?");
        alone.expect_silence(WHILE);
        let [mut late] = joined(&server);
        late.expect_silence(WHILE);
    }
}

#[test]
fn delivered_to_the_sender_it_gets_a_copy_for_each_other_client_and_nobody_else_gets_any() {
    let server = broadcast(&["--deliver", "sender"]);
    for others in 1..5 {
        let mut sender = joined::<1>(&server);
        let mut others = join(&server, others);
        sender[0].send("as the tutorial has it");
        for _ in &others {
            sender[0].expect(&message("as the tutorial has it"));
        }
        sender[0].expect_silence(WHILE);
        others[0].expect_silence(WHILE / 10);
        let all = others.into_iter().chain(sender).collect::<Vec<Peer>>();
        leave(&server, all);
    }
}

/// These go, and the server has noticed.
fn leave(server: &Server, peers: Vec<Peer>) {
    let open = server.process().descriptors();
    let gone = peers.len();
    drop(peers);
    until("the server closes what has gone", || {
        (server.process().descriptors() <= open - gone).then_some(())
    });
}

#[test]
fn delivered_to_everyone_the_sender_gets_one_copy_too() {
    let server = broadcast(&["--deliver", "everyone"]);
    let mut peers = join(&server, 4);
    for sender in 0..peers.len() {
        let text = format!("from {sender}");
        peers[sender].send(&text);
        for peer in &mut peers {
            peer.expect(&message(&text));
        }
    }
    peers[0].expect_silence(WHILE);
}

#[test]
fn a_message_reaches_nobody_who_connects_after_it() {
    let server = broadcast(&[]);
    let [sender, mut early] = joined(&server);
    sender.send("first");
    early.expect(&message("first"));
    let [mut late] = joined(&server);
    late.expect_silence(WHILE);
    sender.send("second");
    early.expect(&message("second"));
    late.expect(&message("second"));
}

#[test]
fn a_message_reaches_a_client_that_connected_before_it_but_was_not_accepted_yet() {
    let server = broadcast(&[]);
    let [sender] = joined(&server);
    let stopped = stop(server.process().id());
    let mut waiting: Vec<Peer> = (0..20).map(|_| Peer::connect(&server)).collect();
    sender.send("you were there");
    drop(stopped);
    for peer in &mut waiting {
        peer.expect(&message("you were there"));
    }
}

#[test]
fn the_last_message_of_a_sender_that_leaves_is_delivered() {
    let server = broadcast(&[]);
    let [mut sender, mut receiver] = joined(&server);
    sender.send("goodbye");
    sender.half_close();
    receiver.expect(&message("goodbye"));
    sender.expect_close();
    receiver.expect_silence(WHILE);
}

#[test]
fn a_client_that_leaves_during_a_message_disturbs_nobody() {
    let server = broadcast(&["--max-queue", "64MiB"]);
    let [sender, mut stays] = joined(&server);
    for round in 0..5 {
        let leavers: Vec<Peer> = (0..3).map(|_| Peer::narrow(&server)).collect();
        let accepted = server.process().descriptors();
        let body = pattern(b'a' + round, 2 << 20);
        sender.send(&body);
        for (n, mut leaver) in leavers.into_iter().enumerate() {
            if n == 0 {
                leaver.take(1); // accepted for sure, and with the rest to come
                leaver.half_close();
                drop(leaver);
            } else {
                drop(leaver); // by a reset
            }
        }
        assert!(stays.messages(body.len()).concat() == body);
        until("the server closes what has gone", || {
            (server.process().descriptors() <= accepted.min(9 + 5)).then_some(())
        });
    }
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0));
    let last = log.iter().rfind(|line| line.contains("counters")).unwrap();
    assert_eq!(counter(last, "evictions"), 0, "{last}");
    assert_eq!(counter(last, "queue_bytes"), 0, "{last}");
}

#[test]
fn a_silent_client_has_no_idle_limit() {
    let short = ["--idle-timeout", "100ms", "--header-timeout", "100ms"];
    let server = broadcast(&short);
    let [sender, mut listener, mut half] = joined(&server);
    half.send("POST / HT"); // not half a request, but a message
    listener.expect(&message("POST / HT"));
    half.expect_silence(Duration::from_millis(800));
    sender.send("still there");
    listener.expect(&message("still there"));
    half.expect(&message("still there"));
}

#[test]
fn header_lines_and_the_date_come_after_the_four() {
    let server = broadcast(&["--date", "--header", "X-One: 1", "--header", "X-Two: 2"]);
    let [sender, mut receiver] = joined(&server);
    sender.send("x");
    let head = receiver.take_through(b"\r\n\r\n");
    let head = String::from_utf8(head).unwrap();
    let rest = head
        .strip_prefix(
            "HTTP/1.1 200 OK\r\nAccept: application/json, text/plain, */*\r\n\
             Connection: keep-alive\r\nContent-Length:1\r\n",
        )
        .unwrap_or_else(|| panic!("{head:?}"));
    let lines: Vec<&str> = rest.trim_end().split("\r\n").collect();
    assert!(
        lines[0].starts_with("Date: ") && lines[0].ends_with(" GMT"),
        "{head:?}"
    );
    assert_eq!(lines[1..], ["X-One: 1", "X-Two: 2"]);
    receiver.expect(b"x");
}

#[test]
fn what_arrives_is_printed_where_that_is_asked() {
    let mut command = event_httpd(arguments("broadcast", &["--echo"]));
    command.stdout(std::process::Stdio::piped());
    let mut server = Server::run(command);
    let stdout = server.stdout();
    let [sender, mut receiver] = joined(&server);
    sender.send("first,");
    receiver.expect(&message("first,"));
    sender.send("second");
    assert_eq!(printed(stdout, "first,second".len()), "first,second");
}

#[test]
fn options_may_come_from_the_environment() {
    let mut command = event_httpd(arguments("broadcast", &[]));
    command.env("EVENT_HTTPD_FRAMING", "http");
    command.env("EVENT_HTTPD_DELIVER", "everyone");
    command.env("EVENT_HTTPD_MAX_QUEUE_TOTAL", "1MiB");
    let server = Server::run(command);
    let [mut sender, mut receiver] = joined(&server);
    sender.send(super::support_broadcast::post("x"));
    receiver.expect(&message("x"));
    sender.expect(&message("x"));
}

#[test]
fn counters_tell_connections_messages_deliveries_and_what_waits() {
    let server = broadcast(&[]);
    let [sender, mut second, mut third] = joined(&server);
    for text in ["one", "two"] {
        sender.send(text);
        second.expect(&message(text));
        third.expect(&message(text));
    }
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    let expected = [
        ("connections", 3),
        ("open", 3),
        ("requests", 0),
        ("messages", 2),
        ("deliveries", 4),
        ("evictions", 0),
        ("queue_bytes", 0),
    ];
    for (name, value) in expected {
        assert_eq!(counter(&line, name), value, "{name} in {line}");
    }
    let (_, log) = server.stop();
    let last = log.iter().rfind(|line| line.contains("counters")).unwrap();
    assert_eq!(counter(last, "deliveries"), 4, "{last}");
}
