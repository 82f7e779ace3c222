//! Many connections: what they cost while they are silent, and what they leave behind.

mod support_http;

use std::sync::Mutex;
use std::time::Duration;

use support_http::{Client, GET, LAST, Server, narrow, until};
use test_support::raise_descriptor_limit;

/// One at a time: they measure.
static ALONE: Mutex<()> = Mutex::new(());

const WHILE: Duration = Duration::from_secs(2);

/// The server uses less than a hundredth of a core while nothing happens.
#[track_caller]
fn assert_at_rest(server: &Server, client: &mut Client) {
    let before = server.process().cpu();
    client.expect_silence(WHILE);
    let used = server.process().cpu() - before;
    assert!(
        used < WHILE / 100,
        "{used:?} of {WHILE:?} with nothing to do"
    );
}

/// So many connections more, which the server has accepted.
fn connected(server: &Server, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| server.connect()).collect();
    clients[count - 1].ask(); // the queue is first in, first out
    clients
}

#[test]
fn a_thousand_silent_connections_cost_no_cpu_nor_do_they_when_they_have_gone() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    raise_descriptor_limit();
    let server = Server::start(&[]);
    let mut clients = connected(&server, 1000);
    assert_at_rest(&server, &mut clients[0]);
    // Also after a request each.
    for client in &mut clients {
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    for client in &mut clients {
        client.answer_to_head();
    }
    assert_at_rest(&server, &mut clients[0]);
    let mut last = clients.pop().unwrap();
    drop(clients);
    assert_eq!(server.until_entries(3).len(), 3);
    assert_at_rest(&server, &mut last);

    for client in connected(&server, 999) {
        client.reset();
    }
    server.until_entries(3);
    assert_at_rest(&server, &mut last);
}

#[test]
fn connections_that_have_ended_their_half_or_have_half_a_request_cost_no_cpu() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    raise_descriptor_limit();
    let server = Server::start(&["--header-timeout", "60s"]);
    let mut clients = connected(&server, 500);
    for client in &mut clients {
        client.send("GET / HT");
    }
    // Peers that do not read what waits for them, one of whom has ended its half besides.
    let mut slow: Vec<Client> = (0..2).map(|_| narrow(&server)).collect();
    for client in &mut slow {
        client.send_until_stuck(&GET.repeat(100), 64 << 20);
    }
    slow[1].half_close();
    server.connect().ask();
    assert_at_rest(&server, &mut clients[0]);
}

/// Twenty thousand connections in batches, which end in every way.
fn come_and_go(server: &Server, connections: usize) {
    for batch in 0..connections / 100 {
        let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            match index % 5 {
                0 => {}
                1 => client.send(GET),
                2 => client.send(&GET[..10]),
                3 => client.send(LAST),
                _ => client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
            }
        }
        for client in clients.iter_mut().skip(1).step_by(5) {
            assert_eq!(client.answer().status, 200);
        }
        for client in clients {
            if batch % 2 == 0 {
                client.reset()
            } else {
                drop(client)
            }
        }
    }
    server.until_entries(2);
}

#[test]
fn twenty_thousand_connections_leave_neither_descriptors_nor_memory_behind() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    raise_descriptor_limit();
    let server = Server::start(&[]);
    come_and_go(&server, 2000);
    let memory = server.process().memory();
    let descriptors = until("the descriptors of closed connections are back", || {
        Some(server.process().descriptors()).filter(|descriptors| *descriptors < 30)
    });
    come_and_go(&server, 20_000);
    until("the descriptors are back", || {
        (server.process().descriptors() <= descriptors).then_some(())
    });
    let grown = server.process().memory().saturating_sub(memory);
    assert!(
        grown < 512 * 1024,
        "{grown} bytes more after 20,000 connections"
    );
}
