//! Many peers at once: what they make the server hold, and who waits for whom.

use std::thread;

use nix::sys::signal::Signal;

use super::support_broadcast::{Trace, arguments, counter, stop, traced};
use super::support_http::{Client, GET, Server, narrow, until};

const MIB: usize = 1 << 20;

/// Options that make each answer this many times 100 KB long.
fn long_answers(parts: usize, options: &[&str]) -> Server {
    let line = format!("X-Long: {}", "x".repeat(100_000));
    let mut all = options.to_vec();
    for _ in 0..parts {
        all.extend(["--header", &line]);
    }
    Server::start(&all)
}

/// Connects peers that ask for more than their sockets hold, and read nothing.
fn ask_and_do_not_read(server: &Server, count: usize) -> Vec<Client> {
    let mut peers: Vec<Client> = (0..count).map(|_| narrow(server)).collect();
    for peer in &mut peers {
        peer.send(GET.repeat(40));
    }
    peers
}

// Skipped under ASan: the test measures memory, and ASan holds freed memory back.
#[test]
fn what_waits_for_all_peers_is_bounded_and_those_that_hold_most_are_cut_off() {
    let server = long_answers(3, &["--max-queue-total", "8MiB"]);
    server.connect().ask();
    let before = server.process().memory();
    let peers = ask_and_do_not_read(&server, 150);
    server.line("cut off: what waits for all peers exceeds --max-queue-total");
    let mut honest = server.connect();
    for _ in 0..100 {
        honest.ask();
    }
    let grown = server.process().memory().saturating_sub(before);
    assert!(grown < 40 * MIB, "{grown} bytes more for a bound of 8 MiB");
    honest.ask();
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    let (cut_off, open) = (counter(&line, "evictions"), counter(&line, "open"));
    assert!(cut_off > 0 && open > 1, "some are cut off, not all: {line}");
    drop(peers);
}

// Skipped under ASan: the test measures memory, and ASan holds freed memory back.
#[test]
fn memory_goes_back_to_the_system_when_the_peers_have_left() {
    let server = long_answers(3, &["--max-queue-total", "1GiB"]);
    server.connect().ask();
    let before = server.process().memory();
    let peers = ask_and_do_not_read(&server, 200);
    until("much memory is taken", || {
        (server.process().memory() > before + 40 * MIB).then_some(())
    });
    drop(peers);
    until("the memory is given back", || {
        (server.process().memory() < before + 8 * MIB).then_some(())
    });
}

#[test]
fn a_pipelining_peer_that_does_not_read_makes_the_server_answer_only_a_little() {
    let server = long_answers(1, &["--max-queue", "1GiB"]);
    let mut peer = narrow(&server);
    peer.send(GET.repeat(500));
    let mut other = server.connect();
    until("the peer is not read from", || {
        (other.ask().resting() == [6]).then_some(())
    });
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    let waits = counter(&line, "queue_bytes");
    assert!(waits < 1 << 20, "{waits} bytes wait for one peer: {line}");
}

#[test]
fn a_peer_that_pipelines_much_is_answered_in_turns_with_the_others() {
    let trace = Trace::new();
    let long = format!("X-Long: {}", "x".repeat(10_000));
    let options = arguments("serve", &["--header", &long, "--max-queue", "1GiB"]);
    let strace = ["-e", "trace=write,writev,sendto,sendmsg", "-s", "60"];
    let server = Server::run(traced(&strace, &trace.file(), options));
    let mut peer = server.connect();
    let mut other = server.connect();
    peer.ask();
    other.ask();
    let stopped = stop(server.process().id());
    const REQUESTS: usize = 2000;
    peer.send(GET.repeat(REQUESTS));
    other.send(b"HEAD /mark HTTP/1.1\r\nHost: x\r\n\r\n");
    let reader = thread::spawn(move || {
        for _ in 0..REQUESTS {
            peer.answer();
        }
    });
    drop(stopped);
    other.answer_to_head();
    reader.join().unwrap();
    // The answer to HEAD is one write of its own, of 10 KB and without a body.
    let text = std::fs::read_to_string(trace.file()).unwrap();
    let sizes: Vec<usize> = text
        .lines()
        .filter(|line| line.contains("HTTP/1.1 200"))
        .filter_map(|line| line.rsplit_once("= ")?.1.trim().parse().ok())
        .skip(2)
        .collect();
    let before: usize = sizes.iter().take_while(|size| **size > 10_200).sum();
    assert!(
        before < 2 * MIB,
        "{before} bytes were written before the other's"
    );
    assert!(sizes.len() > 20, "{sizes:?}");
}
