//! Many clients, and the limits of what a process may have.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::support_broadcast::{Peer, broadcast, counter, join, joined, message, pattern};
use super::support_http::until;
use test_support::raise_descriptor_limit;

const WHILE: Duration = Duration::from_millis(200);

#[test]
fn of_ten_thousand_clients_each_other_gets_a_copy_complete_and_in_order() {
    const WANTED: usize = 10_000;
    let room = raise_descriptor_limit() - 500; // for other tests and the harness
    let count = WANTED.min(room);
    if count < WANTED {
        println!("the descriptor limit allows only {count} clients");
    }
    let server = broadcast(&[]);
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let more = (count - clients.len()).min(1000); // less than the system lets wait
        clients.extend(join(&server, more));
    }
    let mut sender = clients.swap_remove(count / 2);
    let bodies = [pattern(b'a', 100), pattern(b'b', 1), pattern(b'c', 5000)];
    for body in &bodies {
        sender.send(body);
        // When one has it the turn is running, and the next message is another read.
        clients[0].expect(&message(body));
    }
    for client in &mut clients[1..] {
        for body in &bodies {
            client.expect(&message(body));
        }
    }
    sender.expect_silence(WHILE);
    server.process().signal(Signal::SIGUSR1);
    let line = server.line("counters");
    let copies = u64::try_from((count - 1) * bodies.len()).unwrap();
    assert_eq!(counter(&line, "deliveries"), copies, "{line}");
    assert_eq!(counter(&line, "evictions"), 0, "{line}");
}

#[test]
fn at_the_descriptor_limit_accepting_pauses_and_comes_back_and_clients_are_served() {
    let server = broadcast(&[]);
    let [sender, mut receiver] = joined(&server);
    server
        .process()
        .limit_descriptors(server.process().descriptors() + 5);
    let mut served = join(&server, 5);
    let mut waiting: Vec<Peer> = (0..5).map(|_| Peer::connect(&server)).collect();
    server.line("accepting pauses");
    sender.send("there is room for no more");
    receiver.expect(&message("there is room for no more"));
    for client in &mut served {
        client.expect(&message("there is room for no more"));
    }
    waiting[4].expect_silence(WHILE); // numbers may have been free below the limit
    drop(served);
    until("those who waited are accepted", || {
        sender.send("?");
        receiver.messages(1);
        let all = waiting.iter_mut().map(|client| client.has_something());
        all.fold(true, |all, one| all & one).then_some(())
    });
    for client in &mut waiting {
        while !client.message().starts_with(b"?") {} // one may have been there for the first, too
    }
}

#[test]
fn clients_above_the_limit_wait() {
    let server = broadcast(&["--max-connections", "3"]);
    let [sender, mut second, third] = joined(&server);
    let mut fourth = Peer::connect(&server);
    server.line("accepting pauses");
    sender.send("of three");
    second.expect(&message("of three"));
    fourth.expect_silence(WHILE);
    drop(third);
    until("the fourth is accepted", || {
        sender.send("!");
        second.messages(1);
        fourth.has_something().then_some(())
    });
    assert!(fourth.message().starts_with(b"!"));
}
