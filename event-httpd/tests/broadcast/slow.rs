//! Readers that lag: they are cut off at their limit, and nobody waits for them.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::support_broadcast::{
    ACCEPTED, Peer, broadcast, counter, high_water, joined, message, pattern, post, sockets,
};
use super::support_http::{LIMIT, Server, until};

const MIB: usize = 1 << 20;

/// Connects a client that will not read, and which the server has accepted.
fn deaf(server: &Server) -> Peer {
    let before = sockets(server);
    let peer = Peer::narrow(server);
    until("it is accepted", || {
        (sockets(server) > before).then_some(())
    });
    peer
}

/// Sends one MiB and waits until a reader has it: what waits is what others do not read.
fn pass_one_mib(sender: &Peer, reader: &mut Peer, mark: u8) {
    let body = pattern(mark, MIB);
    sender.send(&body);
    assert!(reader.messages(MIB).concat() == body);
}

/// Passes MiBs on until a line of the log has `part` so many times; how many it took.
fn pass_until(
    server: &Server,
    sender: &Peer,
    reader: &mut Peer,
    part: &str,
    count: usize,
) -> usize {
    let start = Instant::now();
    for round in 1.. {
        pass_one_mib(sender, reader, b'a');
        let lines = server.log();
        if lines.iter().filter(|line| line.contains(part)).count() >= count {
            return round;
        }
        assert!(start.elapsed() < LIMIT, "no {count} lines with {part:?}");
    }
    unreachable!()
}

#[test]
// Skipped under ASan: the test measures memory, and ASan holds freed memory back.
fn a_reader_that_stops_is_cut_off_at_its_limit_unnoticed_by_others() {
    let server = broadcast(&["--max-queue", "2MiB"]);
    let [sender, mut reader] = joined(&server);
    pass_one_mib(&sender, &mut reader, b'-'); // what one costs in buffers
    let before = high_water(server.process().id());
    let mut deaf = deaf(&server);
    let rounds = pass_until(&server, &sender, &mut reader, "cut off", 1);
    assert!(rounds >= 2, "cut off within its limit");
    let line = server.line("cut off");
    assert!(
        line.contains("--max-queue") && line.contains("127.0.0.1:"),
        "{line}"
    );
    assert!(counter(&line, "waiting") > 2 << 20, "{line}");
    for _ in 0..24 {
        pass_one_mib(&sender, &mut reader, b'b');
    }
    // What it took before is whole but for its end, and of the right bytes.
    let got = deaf.rest();
    assert!(got.starts_with(b"HTTP/1.1 200 OK\r\nAccept:"));
    server.process().signal(Signal::SIGUSR1);
    let counters = server.line("counters");
    assert_eq!(counter(&counters, "evictions"), 1, "{counters}");
    assert_eq!(counter(&counters, "queue_bytes"), 0, "{counters}");
    assert_eq!(counter(&counters, "open"), 2, "{counters}");
    let grown = high_water(server.process().id()) - before;
    assert!(grown < 12 * MIB, "{grown} bytes more for a queue of 2 MiB");
}

#[test]
// Skipped under ASan: the test measures memory, and ASan holds freed memory back.
fn a_message_waits_once_for_however_many_readers() {
    let server = broadcast(&[
        "--framing",
        "http",
        "--max-queue",
        "64MiB",
        "--max-queue-total",
        "8GiB",
    ]);
    let [mut sender, mut reader] = joined(&server);
    let deaf: Vec<Peer> = (0..100).map(|_| deaf(&server)).collect();
    let before = high_water(server.process().id());
    for _ in 0..6 {
        sender.send(post(pattern(b'x', MIB)));
        sender.expect(ACCEPTED);
        reader.expect(&message(pattern(b'x', MIB)));
    }
    server.process().signal(Signal::SIGUSR1);
    let waits = counter(&server.line("counters"), "queue_bytes");
    assert!(waits > 100 << 20, "only {waits} bytes wait");
    let grown = high_water(server.process().id()) - before;
    assert!(grown < 32 * MIB, "{grown} bytes more for 6 MiB of messages");
    drop(deaf);
    until("nothing waits any more", || {
        server.process().signal(Signal::SIGUSR1);
        let line = server
            .log()
            .into_iter()
            .rfind(|line| line.contains("counters"))?;
        (counter(&line, "queue_bytes") == 0).then_some(())
    });
}

#[test]
fn all_readers_together_are_limited_and_the_slowest_goes_first() {
    let server = broadcast(&["--max-queue", "1GiB", "--max-queue-total", "12MiB"]);
    let [sender, mut reader] = joined(&server);
    let mut first = deaf(&server);
    for _ in 0..5 {
        pass_one_mib(&sender, &mut reader, b'x');
    }
    let mut later = deaf(&server);
    pass_until(&server, &sender, &mut reader, "cut off", 1);
    let line = server.line("cut off");
    assert!(line.contains("--max-queue-total"), "{line}");
    let local = first.socket().local_addr().unwrap().as_socket().unwrap();
    assert!(line.contains(&local.to_string()), "{line} of {local}");
    assert!(!first.rest().is_empty());
    // The other one is there still, with all that waits for it.
    pass_one_mib(&sender, &mut reader, b'y');
    server.process().signal(Signal::SIGUSR1);
    let counters = server.line("counters");
    assert_eq!(counter(&counters, "evictions"), 1, "{counters}");
    assert_eq!(counter(&counters, "open"), 3, "{counters}");
    let mut body = Vec::new();
    while !body.ends_with(&pattern(b'y', MIB)[MIB - 8..]) {
        body = later.message();
    }
}

#[test]
fn a_sender_does_not_wait_for_readers_within_the_limit_nor_past_it() {
    let server = broadcast(&["--max-queue", "4MiB"]);
    let [sender] = joined(&server);
    let _deaf = [deaf(&server), deaf(&server), deaf(&server)];
    // Past all that sockets and queues hold; a write that waits for long is an error.
    for _ in 0..40 {
        sender.send(pattern(b'z', MIB));
    }
    server.lines("cut off", 3);
}

#[test]
fn a_sender_that_does_not_read_is_cut_off_as_a_reader() {
    let server = broadcast(&["--max-queue", "1MiB", "--deliver", "everyone"]);
    let sender = deaf(&server);
    let body = pattern(b'q', MIB);
    let all = (0..40).all(|_| sender.send_until_stuck(&body, LIMIT) == body.len());
    assert!(!all, "what it is sent waits for it past the limit");
    server.line("cut off");
}

#[test]
fn a_reader_that_lags_and_catches_up_loses_nothing() {
    let server = broadcast(&["--max-queue", "64MiB"]);
    let [sender, mut reader] = joined(&server);
    let mut slow = deaf(&server);
    for round in 0..3 {
        for part in 0..6 {
            pass_one_mib(&sender, &mut reader, b'a' + 6 * round + part);
        }
        for part in 0..6 {
            assert!(slow.messages(MIB).concat() == pattern(b'a' + 6 * round + part, MIB));
        }
    }
    server.process().signal(Signal::SIGUSR1);
    let counters = server.line("counters");
    assert_eq!(counter(&counters, "evictions"), 0, "{counters}");
    assert_eq!(counter(&counters, "queue_bytes"), 0, "{counters}");
}

#[test]
fn a_reader_that_is_cut_off_may_come_back() {
    let server = broadcast(&["--max-queue", "64KiB"]);
    let [sender, mut reader] = joined(&server);
    for round in 1..=3 {
        let _deaf = deaf(&server);
        pass_until(&server, &sender, &mut reader, "cut off", round);
    }
    let [mut back] = joined(&server);
    sender.send("welcome");
    back.expect(&message("welcome"));
}
