//! Clients of `event-httpd broadcast`, and a server's processes as seen from outside.
//!
//! A test crate with this module also has `support_http`.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses a part of it"
)]

mod family;
mod peer;
mod trace;

pub(crate) use family::{
    Family, Sighting, children, every_worker, gone, high_water, kill, kill_if_there, listeners,
    owner, owner_of, resident, sockets, sockets_of, state, steady, stop, until_gone, worker_of,
};
pub(crate) use peer::{ACCEPTED, HEAD, Peer, message, post};
pub(crate) use trace::{Trace, in_each_turn, traced};

use crate::support_http::{Process, Server, event_httpd, until};

/// Starts `event-httpd broadcast` on a free port, or where the options say.
#[track_caller]
pub(crate) fn broadcast(options: &[&str]) -> Server {
    start("broadcast", options)
}

/// Starts any command in the same way.
#[track_caller]
pub(crate) fn start(command: &str, options: &[&str]) -> Server {
    Server::run(event_httpd(arguments(command, options)))
}

pub(crate) fn arguments<'a>(command: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![command];
    if !options.contains(&"--listen") {
        arguments.extend(["--listen", "127.0.0.1:0"]);
    }
    arguments.extend(options);
    arguments
}

/// Connects `count` peers, and waits until the server has accepted them, in order.
#[track_caller]
pub(crate) fn join(server: &Server, count: usize) -> Vec<Peer> {
    let before = sockets(server);
    let peers: Vec<Peer> = (0..count).map(|_| Peer::connect(server)).collect();
    until("every peer is accepted", || {
        (sockets(server) >= before + count).then_some(())
    });
    peers
}

/// As [`join`], in an array.
#[track_caller]
pub(crate) fn joined<const N: usize>(server: &Server) -> [Peer; N] {
    join(server, N)
        .try_into()
        .unwrap_or_else(|_| unreachable!())
}

/// Connects peers until each worker has `each` of them; they are returned by worker.
#[track_caller]
pub(crate) fn spread(server: &Server, workers: usize, each: usize) -> Vec<Vec<Peer>> {
    let family = Family::of(server);
    let mut groups: Vec<Vec<Peer>> = (0..workers).map(|_| Vec::new()).collect();
    let mut tried = 0;
    while groups.iter().any(|group| group.len() < each) {
        tried += 1;
        assert!(
            tried < 200 * workers * each,
            "some workers get no connection"
        );
        let peer = Peer::connect(server);
        let number = family.number(worker_of(server, &peer));
        if groups[number - 1].len() < each {
            groups[number - 1].push(peer);
        }
    }
    groups
}

/// The value of the counter `name` in a log line.
#[track_caller]
pub(crate) fn counter(line: &str, name: &str) -> u64 {
    let value = line
        .split(' ')
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    let value = value.unwrap_or_else(|| panic!("no {name} in {line:?}"));
    value.parse().expect("a number")
}

/// `length` bytes in which each eight-byte word contains `mark` and its position.
pub(crate) fn pattern(mark: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    for word in 0_u32.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(&[mark, mark ^ 0x55, mark, b'.']);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}
