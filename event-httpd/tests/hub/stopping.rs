//! What a stopping hub still answers.

use nix::sys::signal::Signal;
use serde_json::json;

use super::support::{Publisher, Subscriber, bearer, full_token, get, open_hub};
use super::support_broadcast::{Family, kill, stop};
use super::support_http::Server;
use super::websocket::Socket;
use test_support::websocket::{PING, PONG, TEXT};

/// A hub with one worker, whose grace period is longer than a test waits.
fn patient_hub() -> Server {
    open_hub(&["--workers", "1", "--grace", "10m", "--bus-timeout", "5m"])
}

#[test]
fn a_publisher_that_is_answered_while_the_worker_stops_is_told_so_and_let_go() {
    let server = patient_hub();
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[("topic", "a"), ("data", "x")]);
    let worker = Family::of(&server).pid(1);
    let master = stop(server.process().id());
    let request = publisher.request(&[("topic", "a"), ("id", "2")]);
    publisher.client.send(request + &get("/healthz", ""));
    kill(worker, Signal::SIGTERM);
    server.line("stopping within");
    drop(master); // goes on
    let answer = publisher.client.answer();
    assert_eq!((answer.status, &*answer.body), (200, &b"2"[..]));
    assert_eq!(answer.field("Connection"), Some("close"));
    publisher.client.expect_close();
}

#[test]
fn a_subscriber_that_waits_for_the_history_is_let_go_when_the_worker_stops() {
    let server = patient_hub();
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "x")]);
    let worker = Family::of(&server).pid(1);
    let master = stop(server.process().id());
    let mut client = server.connect();
    client.send(get("/.well-known/mercure?topic=a&lastEventID=earliest", ""));
    // Answered after the subscription was read.
    Subscriber::to(&server, "topic=a");
    kill(worker, Signal::SIGTERM);
    server.line("stopping within");
    drop(master);
    // `EventSource` connects again after that, and would not after an error.
    assert_eq!(client.answer_to_head().status, 200);
    client.expect_close();
}

#[test]
fn a_websocket_learns_what_became_of_its_updates_before_the_worker_ends_it() {
    let server = patient_hub();
    let mut socket = Socket::open(&server, "topic=a", &bearer(&full_token()));
    let worker = Family::of(&server).pid(1);
    let master = stop(server.process().id());
    let update = |id: &str| json!({ "topics": ["a"], "id": id, "data": "x" });
    for id in ["1", "2"] {
        socket.send(TEXT, update(id).to_string().as_bytes());
    }
    let mut idle = Socket::open(&server, "topic=b", ""); // read behind those two
    kill(worker, Signal::SIGTERM);
    idle.expect_close(1001);
    socket.send(TEXT, update("3").to_string().as_bytes());
    let refused = json!({ "refused": 503, "reason": "the hub is stopping" });
    socket.expect_json(&refused);
    drop(master); // goes on
    for id in ["1", "2"] {
        socket.expect_json(&update(id));
        socket.expect_json(&json!({ "published": id }));
    }
    socket.expect_close(1001);
}

#[test]
fn a_websocket_whose_pongs_are_not_read_is_not_taken_for_dead() {
    let long = ["--max-body-size", "8MiB", "--max-queue", "16MiB"];
    let options = [&long[..], &["--workers", "1", "--bus-timeout", "5m"]].concat();
    let server = open_hub(&[&options[..], &["--heartbeat", "200ms"]].concat());
    let mut publisher = Publisher::connect(&server);
    // More than the worker may send to its master: it reads no connection until that has room.
    let data = "x".repeat(6 << 20);
    let request = publisher.request(&[("topic", "b"), ("id", "1"), ("data", &data)]);
    let mut socket = Socket::open(&server, "topic=a", "");
    let master = stop(server.process().id());
    publisher.client.send(request);
    for _ in 0..10 {
        assert_eq!(socket.frame().0, PING);
        socket.send(PONG, b"");
    }
    drop(master);
    assert_eq!(publisher.published(), "1");
}
