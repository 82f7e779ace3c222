//! The three examples that follow the tutorial. What they must answer stands here as literal
//! bytes.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use test_support::spawn;

use crate::support::{Client, Guard, Server, binary, pipe};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// The answer while the listener (5) and the first client (6) are the only events.
const ONE_CLIENT: &str = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Accept: application/json, text/plain, */*\r\n",
    "Connection: keep-alive\r\n",
    "Content-Length:65\r\n",
    "\r\n",
    r#"{"5":{"pending":true,"data":{}},"6":{"pending":true,"data":null}}"#,
);

/// The answer while a second client (7) is there.
const TWO_CLIENTS: &str = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Accept: application/json, text/plain, */*\r\n",
    "Connection: keep-alive\r\n",
    "Content-Length:98\r\n",
    "\r\n",
    r#"{"5":{"pending":true,"data":{}},"6":{"pending":true,"data":null},"7":{"pending":true,"data":null}}"#,
);

#[test]
fn first_request_gets_the_tutorials_answer_to_the_byte() {
    let server = Server::start("tutorial_server");
    let mut client = server.connect();
    client.send(REQUEST);
    client.expect(ONE_CLIENT);
    assert_eq!(client.leave(), "", "nothing follows the answer");
}

#[test]
fn request_that_arrives_is_echoed_to_standard_output_and_nothing_else_is() {
    let mut server = Server::start("tutorial_server");
    let mut client = server.connect();
    client.send(b"no newline at the end");
    client.expect(ONE_CLIENT);
    client.send(REQUEST);
    client.expect(ONE_CLIENT);
    assert_eq!(client.leave(), "");
    drop(server.process);
    let mut echoed = String::new();
    server.stdout.read_to_string(&mut echoed).unwrap();
    assert_eq!(
        echoed,
        "no newline at the endGET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    );
}

#[test]
fn second_client_is_in_the_table_of_both() {
    let server = Server::start("tutorial_server");
    let (mut first, mut second) = (server.connect(), server.connect());
    second.send(REQUEST);
    second.expect(TWO_CLIENTS);
    first.send(REQUEST);
    first.expect(TWO_CLIENTS);
}

#[test]
fn several_requests_on_one_connection_get_an_answer_each() {
    let server = Server::start("tutorial_server");
    let mut client = server.connect();
    for _request in 0..50 {
        client.send(REQUEST);
        client.expect(ONE_CLIENT);
    }
    assert_eq!(client.leave(), "");
}

#[test]
fn entry_of_a_client_that_closed_leaves_the_table() {
    let server = Server::start("tutorial_server");
    let (mut stays, mut leaves) = (server.connect(), server.connect());
    leaves.send(REQUEST);
    leaves.expect(TWO_CLIENTS);
    assert_eq!(leaves.leave(), "");
    stays.send(REQUEST);
    stays.expect(ONE_CLIENT);
}

#[test]
fn entry_of_a_client_that_reset_leaves_the_table() {
    let server = Server::start("tutorial_server");
    let (mut stays, mut breaks) = (server.connect(), server.connect());
    breaks.send(REQUEST);
    breaks.expect(TWO_CLIENTS);
    let both = server.descriptors();
    breaks.reset();
    assert!(server.comes_to_hold(both - 1));
    stays.send(REQUEST);
    stays.expect(ONE_CLIENT);
}

#[test]
fn number_of_a_client_that_left_is_not_given_again() {
    let server = Server::start("tutorial_server");
    let first = server.connect();
    assert_eq!(first.leave(), "");
    let mut second = server.connect();
    second.send(REQUEST);
    second.expect(&ONE_CLIENT.replace(r#""6":"#, r#""7":"#));
}

#[test]
fn server_whose_clients_left_sleeps_between_requests() {
    let server = Server::start("tutorial_server");
    let mut stays = server.connect();
    stays.send(REQUEST);
    stays.expect(ONE_CLIENT);
    let one = server.descriptors();
    for leave in [drop, Client::reset] {
        let mut client = server.connect();
        client.send(REQUEST);
        client.expect_any_answer();
        leave(client);
    }
    for _request in 0..10 {
        stays.send(REQUEST);
        stays.expect_any_answer();
        assert!(server.falls_asleep(), "an event fires for ever");
    }
    assert!(server.comes_to_hold(one));
    drop(stays);
    assert!(server.comes_to_hold(one - 1));
    assert!(server.falls_asleep());
}

/// What a broadcast of `hello` sends for each receiver.
const HELLO: &str = concat!(
    "HTTP/1.1 200 OK\r\n",
    "Accept: application/json, text/plain, */*\r\n",
    "Connection: keep-alive\r\n",
    "Content-Length:5\r\n",
    "\r\n",
    "hello",
);

#[test]
fn message_of_a_lone_client_is_sent_to_no_one() {
    let server = Server::start("tutorial_broadcast");
    let mut alone = server.connect();
    alone.send(b"hello");
    assert_eq!(alone.leave(), "");
}

#[test]
fn message_among_three_clients_comes_back_to_its_sender_twice() {
    let mut server = Server::start("tutorial_broadcast");
    let first = server.connect();
    let mut second = server.connect();
    second.send(b"hello");
    second.expect(HELLO); // one other: so the first is accepted
    let mut third = server.connect();
    third.send(b"hello");
    third.expect(HELLO);
    third.expect(HELLO);
    second.send(b"hello");
    second.expect(HELLO);
    second.expect(HELLO);
    assert_eq!(first.leave(), "", "the first one sent nothing");
    assert_eq!(second.leave(), "", "the copies of its own messages alone");
    assert_eq!(third.leave(), "", "the copies of its own message alone");
    drop(server.process);
    let mut printed = String::new();
    server.stdout.read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "");
}

#[test]
fn message_of_any_bytes_comes_back_unchanged() {
    let server = Server::start("tutorial_broadcast");
    let _other = server.connect();
    let mut sender = server.connect();
    sender.send(b"\0\xff\r\n\x80");
    let mut answer = vec![0; HELLO.len()];
    sender.0.read_exact(&mut answer).unwrap();
    assert_eq!(
        answer[..HELLO.len() - 5],
        HELLO.as_bytes()[..HELLO.len() - 5]
    );
    assert_eq!(answer[HELLO.len() - 5..], *b"\0\xff\r\n\x80");
}

#[test]
fn client_that_closed_or_reset_is_no_longer_counted() {
    let server = Server::start("tutorial_broadcast");
    let (leaves, breaks) = (server.connect(), server.connect());
    let mut stays = server.connect();
    stays.send(b"hello");
    stays.expect(HELLO);
    stays.expect(HELLO);
    assert_eq!(leaves.leave(), "");
    stays.send(b"hello");
    stays.expect(HELLO);
    let both = server.descriptors();
    breaks.reset();
    assert!(server.comes_to_hold(both - 1));
    stays.send(b"hello");
    assert_eq!(stays.leave(), "");
}

#[test]
fn broadcast_sleeps_after_a_message_and_after_its_clients_left() {
    let server = Server::start("tutorial_broadcast");
    let other = server.connect();
    let mut sender = server.connect();
    sender.send(b"hello");
    sender.expect(HELLO);
    assert!(server.falls_asleep());
    let both = server.descriptors();
    other.reset();
    assert!(server.comes_to_hold(both - 1));
    assert!(server.falls_asleep());
    assert_eq!(sender.leave(), "", "one copy, and nothing after it");
    assert!(server.falls_asleep());
}

#[test]
fn isolation_prints_the_tutorials_lines_and_reaps_every_child() {
    let (mut stdout, child_stdout) = pipe();
    let (mut stderr, child_stderr) = pipe();
    let mut parent = Guard(
        spawn(
            Command::new(binary("tutorial_isolation"))
                .args(["1", "0"])
                .stdout(child_stdout)
                .stderr(child_stderr),
        )
        .unwrap(),
    );
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).unwrap(); // until parent and children are gone
    let mut errors = String::new();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(errors, "");
    assert_eq!(parent.0.wait().unwrap().code(), Some(0));

    let mut pids = Vec::new();
    let mut expected = "global M::arr empty~\n".repeat(5);
    for line in printed.lines() {
        if let Some(pid) = line.strip_prefix("child process exit~ pid = ") {
            let pid = pid.trim_end();
            expected += &format!("child process exit~ pid = {pid} \nArray\n(\n)\n");
            pids.push(pid.parse::<u32>().unwrap());
        }
    }
    assert_eq!(printed, expected);
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), 5, "five children, each reaped once");
    for pid in pids {
        assert!(
            !Path::new(&format!("/proc/{pid}")).exists(),
            "{pid} is gone"
        );
    }
}
