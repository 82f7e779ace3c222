//! `--store-queue`: updates wait for a store in Redis that is away.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::redis::{LASTING, Link, Redis};
use super::store::{hub_on, until_ready};
use super::store_failures::{attempt, until_away};
use super::support::{Publisher, Subscriber, bearer, expect, full_token, open_hub, publish};
use super::support_http::{Client, Response, Server, until};
use super::websocket::Socket;
use super::workers::read;
use test_support::websocket::TEXT;

/// Sends an update, and does not wait for the answer.
fn send(hub: &Server, id: &str, data: &str) -> Client {
    let mut publisher = Publisher::connect(hub);
    let request = publisher.request(&[("topic", "a"), ("id", id), ("data", data)]);
    publisher.client.send(request);
    publisher.client
}

#[track_caller]
fn expect_kept(client: &mut Client, id: &str) {
    let answer = client.answer();
    assert_eq!((answer.status, &*answer.body), (200, id.as_bytes()));
}

#[track_caller]
fn expect_refusal(answer: &Response, reason: &str) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    let body = String::from_utf8_lossy(&answer.body);
    assert!(body.contains(reason), "{body}");
}

fn stored(redis: &Redis) -> String {
    redis.ask("XLEN event-httpd:updates")
}

#[test]
fn updates_wait_for_a_store_that_is_away_and_are_kept_in_the_order_of_their_arrival() {
    let mut redis = Redis::start(&LASTING);
    let hub = hub_on(&redis.url(), &["--store-queue", "100"]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    publish(&hub, 0..2);
    redis.kill();
    until_away(&hub);
    let mut socket = Socket::open(&hub, "topic=none", &bearer(&full_token()));
    for n in 2..50 {
        let message = json!({"topics": ["a"], "id": n.to_string(), "data": n.to_string()});
        socket.send(TEXT, message.to_string().as_bytes());
    }
    let mut client = send(&hub, "other", "other");
    client.expect_silence(Duration::from_millis(200));
    redis.restart();
    for n in 2..50 {
        socket.expect_json(&json!({ "published": n.to_string() }));
    }
    expect_kept(&mut client, "other");
    let mut ids = read(&mut subscriber, 51);
    ids.retain(|id| id != "other");
    let expected: Vec<_> = (0..50).map(|n: u32| n.to_string()).collect();
    assert_eq!(ids, expected);
    subscriber.expect_silence();
    assert_eq!(stored(&redis), ":51\r\n");
}

#[test]
fn an_update_that_the_store_has_kept_without_an_answer_is_not_kept_again() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &["--store-queue", "100"]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    link.drop_replies();
    let mut first = send(&hub, "0", "0");
    until("the store has it", || {
        (stored(&redis) == ":1\r\n").then_some(())
    });
    until_away(&hub);
    let mut second = send(&hub, "1", "1");
    second.expect_silence(Duration::from_millis(200));
    link.mend();
    expect_kept(&mut first, "0");
    expect_kept(&mut second, "1");
    expect(&mut subscriber, 0..2);
    subscriber.expect_silence();
    assert_eq!(stored(&redis), ":2\r\n");
}

#[test]
fn an_update_that_the_store_gets_on_two_connections_is_kept_once() {
    let redis = Redis::fleeting();
    let hub = hub_on(&redis.url(), &["--store-queue", "100"]);
    let mut subscriber = Subscriber::to(&hub, "topic=a");
    redis.pause(); // takes what is sent, and answers it later
    let mut clients: Vec<_> = (0..5)
        .map(|n: u32| send(&hub, &n.to_string(), &n.to_string()))
        .collect();
    until_away(&hub);
    thread::sleep(Duration::from_secs(1));
    redis.resume();
    for (n, client) in clients.iter_mut().enumerate() {
        expect_kept(client, &n.to_string());
    }
    until_ready(&hub);
    let mut ids = read(&mut subscriber, 5);
    ids.sort();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    subscriber.expect_silence();
    assert_eq!(stored(&redis), ":5\r\n");
}

#[test]
fn an_update_that_a_replica_refused_is_kept_though_the_master_has_kept_the_next() {
    let redis = Redis::fleeting();
    let link = Link::to(&redis);
    let hub = hub_on(&link.url(), &["--store-queue", "100"]);
    link.hold_replies_to("EVAL");
    redis.ask("REPLICAOF 127.0.0.1 1");
    let mut first = send(&hub, "first", "first");
    until("the replica has refused it", || {
        let commands = redis.ask("INFO commandstats");
        commands.contains("cmdstat_eval").then_some(())
    });
    redis.ask("REPLICAOF NO ONE");
    let mut second = send(&hub, "second", "second");
    until("the next is kept", || {
        (stored(&redis) == ":1\r\n").then_some(())
    });
    link.mend();
    expect_kept(&mut first, "first");
    expect_kept(&mut second, "second");
    assert_eq!(stored(&redis), ":2\r\n");
}

#[test]
fn a_queue_that_is_full_refuses_at_once_by_count_and_by_size() {
    for (limits, fits) in [
        (&["--store-queue", "2"][..], 2),
        (&["--store-queue", "100", "--store-queue-size", "5KiB"], 3),
    ] {
        let mut redis = Redis::start(&LASTING);
        let hub = hub_on(&redis.url(), limits);
        redis.kill();
        until_away(&hub);
        let data = "x".repeat(1000);
        let mut waiting: Vec<_> = (0..fits)
            .map(|n: u32| {
                let mut client = send(&hub, &n.to_string(), &data);
                client.expect_silence(Duration::from_millis(100));
                client
            })
            .collect();
        let begin = Instant::now();
        let refused = send(&hub, "refused", &data).answer();
        expect_refusal(&refused, "--store-queue has no room");
        assert!(begin.elapsed() < Duration::from_secs(10));
        redis.restart();
        for (n, client) in waiting.iter_mut().enumerate() {
            expect_kept(client, &n.to_string());
        }
        assert_eq!(stored(&redis), format!(":{fits}\r\n"));
    }
}

#[test]
fn an_update_that_waits_too_long_is_refused_and_not_kept_later() {
    let mut redis = Redis::start(&LASTING);
    let options = ["--store-queue", "10", "--store-queue-time", "700ms"];
    let hub = hub_on(&redis.url(), &options);
    publish(&hub, 0..1);
    redis.kill();
    until_away(&hub);
    let begin = Instant::now();
    expect_refusal(&attempt(&hub, "1"), "--store-queue-time");
    assert!(begin.elapsed() >= Duration::from_millis(700));
    redis.restart();
    until_ready(&hub);
    publish(&hub, 2..3);
    assert_eq!(stored(&redis), ":2\r\n");
}

#[test]
fn an_update_that_waits_too_long_for_an_answer_may_be_kept_and_its_publisher_is_told_so() {
    let redis = Redis::fleeting();
    let options = ["--store-queue", "10", "--store-queue-time", "1500ms"];
    let hub = hub_on(&redis.url(), &options);
    redis.pause();
    expect_refusal(&attempt(&hub, "0"), "may have stored");
    redis.resume();
    until_ready(&hub);
    publish(&hub, 1..2);
}

#[test]
fn a_hub_whose_store_comes_after_it_keeps_what_was_published_meanwhile() {
    let mut redis = Redis::stopped(&LASTING);
    let hub = open_hub(&[
        "--store",
        &redis.url(),
        "--store-timeout",
        "500ms",
        "--store-queue",
        "10",
    ]);
    hub.line("is unavailable: ");
    let mut client = send(&hub, "0", "0");
    client.expect_silence(Duration::from_millis(100));
    redis.restart();
    expect_kept(&mut client, "0");
    let mut subscriber = Subscriber::to(&hub, "topic=a&lastEventID=earliest");
    expect(&mut subscriber, 0..1);
}

#[test]
fn a_publisher_may_wait_for_the_store_for_longer_than_a_connection_may_be_idle() {
    let mut redis = Redis::start(&LASTING);
    let options = ["--store-queue", "10", "--idle-timeout", "500ms"];
    let hub = hub_on(&redis.url(), &options);
    redis.kill();
    until_away(&hub);
    let mut client = send(&hub, "0", "0");
    client.expect_silence(Duration::from_millis(1500));
    redis.restart();
    expect_kept(&mut client, "0");
    client.expect_close(); // now it is idle
}
