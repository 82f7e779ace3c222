//! Several workers: one order, one history, and nothing is lost with a worker.

use std::collections::BTreeSet;
use std::{fs, thread};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::support::{PATH, Publisher, Subscriber, get, open_hub};
use super::support_broadcast::{Family, every_worker, kill, owner_of, resident, until_gone};
use super::support_http::{Server, until};
use super::websocket::Socket;
use test_support::tls::{Authority, Folder};

/// Subscribers in each worker.
pub(super) fn spread(server: &Server, workers: usize, query: &str) -> Vec<Subscriber> {
    let family = Family::of(server);
    let mut seen = BTreeSet::new();
    let mut subscribers = Vec::new();
    until("a subscriber in each worker", || {
        let subscriber = Subscriber::to(server, query);
        seen.insert(worker_of(&family, &subscriber));
        subscribers.push(subscriber);
        (seen.len() == workers).then_some(())
    });
    subscribers
}

fn worker_of(family: &Family, subscriber: &Subscriber) -> nix::unistd::Pid {
    owner_of(subscriber.client.socket(), &family.pids()).expect("one of the workers")
}

#[test]
fn all_workers_pass_on_the_same_updates_in_the_same_order() {
    let servers = [open_hub(&["--workers", "2"])];
    let mut subscribers = spread(&servers[0], 2, "topic=a");
    expect_one_order(&servers, &mut subscribers);
}

/// Publishes at the servers in turn. All subscribers get the same updates in the same order, and so
/// does one that comes later; the updates of one publisher stay in its order.
#[track_caller]
pub(super) fn expect_one_order(servers: &[Server], subscribers: &mut [Subscriber]) {
    let publishers = (0..4).map(|number| {
        let mut publisher = Publisher::connect(&servers[number % servers.len()]);
        thread::spawn(move || {
            for n in 0..50 {
                let text = format!("{number}-{n}");
                publisher.publish(&[("topic", "a"), ("id", &text), ("data", &text)]);
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.join().unwrap();
    }
    let mut replayed = Subscriber::to(&servers[servers.len() - 1], "topic=a&lastEventID=earliest");
    let all = read(&mut replayed, 200);
    for subscriber in subscribers {
        assert_eq!(read(subscriber, 200), all);
        subscriber.expect_silence();
    }
    for number in 0..4 {
        let own = all
            .iter()
            .filter(|id| id.starts_with(&format!("{number}-")));
        let expected: Vec<String> = (0..50).map(|n| format!("{number}-{n}")).collect();
        assert_eq!(own.cloned().collect::<Vec<_>>(), expected);
    }
}

/// The ids of the next updates, whose data is their id.
#[track_caller]
pub(super) fn read(subscriber: &mut Subscriber, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let mut event = String::new();
        while !event.ends_with("\n\n") {
            let byte = subscriber.client.take_exactly(1);
            event.push(char::from(byte[0]));
        }
        let id = event
            .strip_prefix("id: ")
            .unwrap()
            .split('\n')
            .next()
            .unwrap();
        assert_eq!(event, format!("id: {id}\ndata: {id}\n\n"));
        ids.push(id.to_owned());
    }
    ids
}

#[test]
fn a_subscriber_with_a_long_last_event_id_ends_no_worker() {
    let limits = ["--max-header-size", "1MiB", "--max-body-size", "1KiB"];
    let options = [&limits[..], &["--workers", "1"]].concat();
    let server = open_hub(&options);
    let mut stays = Subscriber::to(&server, "topic=a");
    let id = format!("Last-Event-ID: {}\r\n", "i".repeat(300_000));
    let unknown = Subscriber::with(&server, "topic=b", &id);
    assert_eq!(unknown.head.field("Last-Event-ID"), Some("earliest"));
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[("topic", "a"), ("id", "1"), ("data", "x")]);
    stays.expect_update("1", "x");
}

#[test]
fn a_killed_worker_loses_no_update_that_was_answered() {
    let server = open_hub(&["--workers", "2"]);
    let before = Family::of(&server);
    let mut subscribers = spread(&server, 2, "topic=a");
    let publish = |range: std::ops::Range<u32>| {
        for n in range {
            // Each on a connection of its own, to some worker.
            let text = n.to_string();
            Publisher::connect(&server).publish(&[("topic", "a"), ("id", &text), ("data", &text)]);
        }
    };
    publish(0..20);
    for subscriber in &mut subscribers {
        assert_eq!(read(subscriber, 20).len(), 20);
    }
    let victim = worker_of(&before, &subscribers[0]);
    let (dead, mut alive): (Vec<_>, Vec<_>) = subscribers
        .into_iter()
        .partition(|subscriber| worker_of(&before, subscriber) == victim);
    kill(victim, Signal::SIGKILL);
    until_gone(victim);
    for mut subscriber in dead {
        subscriber.client.rest();
    }
    every_worker(&server, 2, None);
    publish(20..40);
    let expected: Vec<String> = (20..40).map(|n| n.to_string()).collect();
    for subscriber in &mut alive {
        assert_eq!(read(subscriber, 20), expected);
        subscriber.expect_silence();
    }
    for mut again in spread(&server, 2, "topic=a&lastEventID=19") {
        assert_eq!(again.head.field("Last-Event-ID"), Some("19"));
        assert_eq!(read(&mut again, 20), expected);
        again.expect_silence();
    }
}

#[test]
fn replaced_workers_keep_the_history_and_their_subscribers_come_back() {
    let server = open_hub(&["--workers", "2", "--grace", "1s"]);
    let before = Family::of(&server);
    let mut subscribers = spread(&server, 2, "topic=a");
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "1")]);
    server.process().signal(Signal::SIGHUP);
    every_worker(&server, 2, Some(&before));
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "2"), ("data", "2")]);
    for subscriber in &mut subscribers {
        let got = String::from_utf8(subscriber.client.rest()).unwrap();
        assert!(got.starts_with("id: 1\ndata: 1\n\n"), "{got}");
    }
    let mut again = Subscriber::to(&server, "topic=a&lastEventID=1");
    again.expect_update("2", "2");
}

#[test]
fn a_new_worker_does_not_keep_the_memory_of_its_masters_history() {
    const UPDATES: usize = 100;
    const LENGTH: usize = 80_000;
    let server = open_hub(&["--workers", "1"]);
    let former = Family::of(&server);
    let mut publisher = Publisher::connect(&server);
    for _ in 0..UPDATES {
        publisher.publish(&[("topic", "a"), ("data", &"x".repeat(LENGTH))]);
    }
    drop(publisher);
    let before = resident(former.pid(1));
    server.process().signal(Signal::SIGHUP);
    let next = every_worker(&server, 1, Some(&former));
    let more = resident(next.pid(1)).saturating_sub(before);
    assert!(more < UPDATES * LENGTH / 4, "{more} bytes");
}

#[test]
fn a_replaced_worker_takes_subscribers_that_come_over_an_open_connection() {
    let server = open_hub(&["--workers", "1", "--grace", "1h"]);
    let [mut probe, mut client] = [(); 2].map(|()| {
        let mut client = server.connect();
        client.send(get("/healthz", ""));
        assert_eq!(client.answer().status, 200);
        client
    });
    server.process().signal(Signal::SIGHUP);
    server.line("replaced: stopping within");
    probe.send(get("/readyz", ""));
    let ready = probe.answer();
    assert_eq!(ready.status, 200, "the hub goes on: {ready:?}");
    probe.expect_close();
    client.send(get(&format!("{PATH}?topic=a"), ""));
    // `EventSource` gives up after an error.
    let head = client.answer_to_head();
    assert_eq!(head.status, 200, "{head:?}");
    let mut subscriber = Subscriber { client, head };
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "1")]);
    subscriber.expect_update("1", "1");
}

#[test]
fn a_websocket_of_a_replaced_worker_is_told_to_connect_again_when_the_grace_period_is_over() {
    let server = open_hub(&["--workers", "1", "--grace", "300ms", "--bus-timeout", "5m"]);
    let mut socket = Socket::open(&server, "topic=a", "");
    server.process().signal(Signal::SIGHUP);
    server.line("replaced: stopping within");
    socket.expect_close(1001);
}

#[test]
fn why_a_worker_does_not_start_is_a_line_of_the_log() {
    let folder = Folder::new();
    let authorities = Authority::new().save(&folder, "authorities");
    let mut options = vec!["--workers", "1", "--log-format", "json"];
    options.extend(["--store", "rediss://127.0.0.1:1", "--store-ca-file"]);
    options.push(authorities.to_str().unwrap());
    let server = open_hub(&options);
    fs::remove_file(&authorities).unwrap();
    server.process().signal(Signal::SIGHUP);
    let line: Value = serde_json::from_str(&server.line("No such file")).unwrap();
    assert_eq!(line["level"], "ERROR", "{line}");
    assert_eq!(line["span"]["number"], 1, "{line}");
}
