//! A message for thousands leaves in slices, between which the loop serves everybody else.

use std::thread;

use nix::sys::signal::Signal;

use super::calls::{self, is_write};
use super::support_broadcast::{
    Peer, Trace, broadcast, counter, every_worker, in_each_turn, join, message, post, start,
};
use super::support_http::{Server, until};
use test_support::raise_descriptor_limit;

/// Receivers of one slice, as README says.
const SLICE: usize = 192;

/// Connects that many clients.
fn crowd(server: &Server, count: usize) -> Vec<Peer> {
    raise_descriptor_limit();
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let more = (count - clients.len()).min(1000); // less than the system lets wait
        clients.extend(join(server, more));
    }
    clients
}

#[test]
fn between_two_looks_at_what_is_ready_only_a_slice_of_the_receivers_is_served() {
    let trace = Trace::new();
    let server = calls::server(&trace, "all", &[]);
    let mut receivers = crowd(&server, 1000);
    let sender = &join(&server, 1)[0];
    sender.send("<begin>");
    for receiver in &mut receivers {
        receiver.expect(&message("<begin>"));
    }
    sender.send("<end>");
    let calls = trace.between("\"<begin>\"", "\"<end>\"");
    let slices = in_each_turn(&calls, is_write);
    assert_eq!(slices.iter().sum::<usize>(), receivers.len());
    assert!(slices.iter().all(|writes| *writes <= SLICE), "{slices:?}");
}

#[test]
fn many_senders_to_a_crowd_that_comes_and_goes_lose_nothing_and_all_see_one_order() {
    const SENDERS: usize = 6;
    const EACH: usize = 25;
    let server = broadcast(&["--framing", "http", "--max-queue", "64MiB"]);
    let mut receivers = crowd(&server, 1500);
    let mut leaving = crowd(&server, 300);
    let mut senders = join(&server, SENDERS);
    let text = |sender: usize, n: usize| format!("{sender}:{n:03}");
    thread::scope(|scope| {
        for (number, sender) in senders.iter_mut().enumerate() {
            scope.spawn(move || {
                for n in 0..EACH {
                    sender.send(post(text(number, n)));
                    while sender.message_or_accepted().is_some() {} // its 202 comes last
                }
            });
        }
        scope.spawn(|| {
            while leaving.pop().is_some() {
                Peer::connect(&server).has_something(); // and leaves
            }
        });
    });
    let mut first = Vec::new();
    for receiver in &mut receivers {
        let bodies = receiver.messages(SENDERS * EACH * text(0, 0).len());
        if first.is_empty() {
            first = bodies;
        } else {
            assert!(bodies == first, "two receivers saw different orders");
        }
    }
    for number in 0..SENDERS {
        let prefix = format!("{number}:");
        let of_one = first
            .iter()
            .filter(|body| body.starts_with(prefix.as_bytes()));
        let expected = (0..EACH).map(|n| text(number, n).into_bytes());
        assert!(of_one.cloned().eq(expected), "of sender {number}");
    }
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    assert_eq!(counter(&line, "messages"), (SENDERS * EACH) as u64);
    assert_eq!(counter(&line, "evictions"), 0, "{line}");
}

#[test]
fn a_server_that_stops_in_the_middle_delivers_to_all_and_reads_what_was_sent_before() {
    let server = broadcast(&["--grace", "60s"]);
    let mut receivers = crowd(&server, 3000);
    let senders = join(&server, 2);
    senders[0].send("<one>");
    receivers[0].expect(&message("<one>"));
    senders[0].send("<two>");
    senders[1].send("<three>");
    server.process().signal(Signal::SIGTERM);
    let mut orders = Vec::new();
    for (number, receiver) in receivers.iter_mut().enumerate() {
        if number > 0 {
            receiver.expect(&message("<one>"));
        }
        orders.push(receiver.messages("<two><three>".len()).concat());
        receiver.expect_close();
    }
    orders.dedup();
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_reload_in_the_middle_loses_nothing() {
    const MESSAGES: usize = 40;
    let server = start("broadcast", &["--workers", "2", "--grace", "60s"]);
    every_worker(&server, 2, None);
    let mut receivers = crowd(&server, 1500);
    let sender = &join(&server, 1)[0];
    let text = |n: usize| format!("<{n:02}>");
    for n in 0..MESSAGES {
        sender.send(text(n));
        receivers[0].expect(&message(text(n))); // the rest of the round is under way
        if n == MESSAGES / 4 {
            server.process().signal(Signal::SIGHUP);
        }
    }
    for receiver in &mut receivers[1..] {
        for n in 0..MESSAGES {
            receiver.expect(&message(text(n)));
        }
    }
    until("the workers are replaced", || {
        server
            .log()
            .iter()
            .any(|line| line.contains("takes over from"))
            .then_some(())
    });
}
