//! The echo servers, all of which must do the same.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::support::{Server, nc, noise, talk};

/// The two servers on buffer events.
fn buffered() -> [Server; 2] {
    [
        Server::start("echo_buffer_events"),
        Server::start_with("echo_listener", &["127.0.0.1:0"]),
    ]
}

fn all() -> impl Iterator<Item = Server> {
    std::iter::once(Server::start("echo_events")).chain(buffered())
}

#[test]
fn echo_servers_send_bytes_back_and_let_clients_go() {
    for server in all() {
        let none = server.descriptors();
        let (mut one, mut other) = (server.connect(), server.connect());
        one.send(b"one\n");
        other.send(b"\0\xff other");
        one.expect("one\n");
        let mut bytes = [0; 8];
        other.0.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, *b"\0\xff other");
        assert_eq!(one.leave(), "");
        other.0.write_all(b"x").unwrap();
        other.expect("x");
        other.reset();
        assert!(server.comes_to_hold(none));
        assert!(server.falls_asleep());
    }
}

#[test]
fn echo_servers_answer_nc() {
    for server in all() {
        assert_eq!(talk(&mut nc(&server), b"from nc\n"), "from nc\n");
    }
}

#[test]
fn echo_servers_on_buffer_events_return_all_to_a_client_that_ends_before_it_reads() {
    let sent = noise(4 << 20);
    for server in buffered() {
        let mut reader = server.connect().0;
        let mut writer = reader.try_clone().unwrap();
        let bytes = sent.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut returned = Vec::new();
        reader.read_to_end(&mut returned).unwrap();
        writing.join().unwrap();
        assert!(returned == sent, "{} bytes came back", returned.len());
    }
}

#[test]
fn echo_servers_on_buffer_events_stop_reading_from_a_client_that_does_not() {
    const FAR_MORE_THAN_THE_SYSTEM_BUFFERS: usize = 64 << 20;
    for server in buffered() {
        let mut client = server.connect().0;
        client.set_nonblocking(true).unwrap();
        let (bytes, mut taken, mut full) = (vec![b'x'; 1 << 16], 0, false);
        loop {
            match client.write(&bytes) {
                Ok(n) => (taken, full) = (taken + n, false),
                Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
                Err(_) if full => break, // and it was at rest in between
                Err(_) => full = server.falls_asleep(),
            }
            assert!(taken < FAR_MORE_THAN_THE_SYSTEM_BUFFERS);
        }
    }
}
