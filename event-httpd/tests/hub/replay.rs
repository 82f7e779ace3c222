//! Replay: subscribers that name the last update they have.

use tempfile::TempDir;

use super::support::{
    PATH, Publisher, Subscriber, arguments, bearer, expect, expect_long_history, get, open_hub,
    publish, token,
};
use super::support_http::{Server, event_httpd};

#[test]
fn a_subscriber_gets_what_was_published_behind_the_update_it_names() {
    let server = open_hub(&[]);
    publish(&server, 0..5);
    for (query, lines, deployed, standard, first) in [
        ("topic=a", "Last-Event-ID: 1\r\n", Some("1"), None, 2),
        ("topic=a&lastEventID=2", "", Some("2"), None, 3),
        ("match=a&last_event_id=3", "", None, Some("3"), 4),
        (
            "match=a&last_event_id=3",
            "Last-Event-ID: 0\r\n",
            None,
            Some("0"),
            1,
        ),
        ("topic=a&match=a&lastEventID=4", "", Some("4"), Some("4"), 5),
        (
            "topic=a&lastEventID=earliest",
            "",
            Some("earliest"),
            None,
            0,
        ),
        (
            "match=a&last_event_id=unknown",
            "",
            None,
            Some("earliest"),
            0,
        ),
    ] {
        let mut subscriber = Subscriber::with(&server, query, lines);
        let head = &subscriber.head;
        assert_eq!(head.field("Last-Event-ID"), deployed, "{query} {lines}");
        assert_eq!(
            head.field("Mercure-Last-Event-ID"),
            standard,
            "{query} {lines}"
        );
        expect(&mut subscriber, first..5);
        subscriber.expect_silence();
    }
}

#[test]
fn what_exceeds_the_history_is_gone_and_the_head_says_so() {
    let server = open_hub(&["--history", "3"]);
    publish(&server, 0..10);
    let mut subscriber = Subscriber::to(&server, "topic=a&lastEventID=2");
    assert_eq!(subscriber.head.field("Last-Event-ID"), Some("earliest"));
    expect(&mut subscriber, 7..10);
    let mut subscriber = Subscriber::to(&server, "topic=a&lastEventID=7");
    assert_eq!(subscriber.head.field("Last-Event-ID"), Some("7"));
    expect(&mut subscriber, 8..10);
    publish(&server, 10..12);
    expect(&mut subscriber, 10..12);
}

#[test]
fn private_updates_of_the_history_need_a_token_too() {
    let server = open_hub(&[]);
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[
        ("topic", "a"),
        ("id", "1"),
        ("data", "secret"),
        ("private", ""),
    ]);
    publisher.publish(&[("topic", "a"), ("id", "2"), ("data", "public")]);
    publisher.publish(&[("topic", "b"), ("id", "3"), ("data", "other topic")]);
    let mut anonymous = Subscriber::to(&server, "topic=a&lastEventID=earliest");
    anonymous.expect_update("2", "public");
    anonymous.expect_silence();
    let lines = bearer(&token(&[], &["a"]));
    let mut entitled = Subscriber::with(&server, "topic=a&lastEventID=earliest", &lines);
    entitled.expect_update("1", "secret");
    entitled.expect_update("2", "public");
    entitled.expect_silence();
}

#[test]
fn a_long_history_and_what_is_published_meanwhile_arrive_once_and_in_order() {
    let server = open_hub(&["--max-queue", "64KiB"]);
    expect_long_history(&server, 1500); // many pages
}

#[test]
fn a_reader_that_stalls_is_cut_off_and_gets_the_rest_when_it_comes_back() {
    let server = open_hub(&["--max-queue", "256KiB"]);
    let mut healthy = Subscriber::to(&server, "topic=a");
    let mut stalled = server.connect();
    stalled.send(get(&format!("{PATH}?topic=a"), ""));
    assert_eq!(stalled.answer_to_head().status, 200);
    let filler = "x".repeat(100_000);
    let mut publisher = Publisher::connect(&server);
    let mut count = 0;
    while !server
        .log()
        .iter()
        .any(|line| line.contains("lags past --max-queue"))
    {
        assert!(count < 1000, "it is not cut off");
        let id = count.to_string();
        publisher.publish(&[("topic", "a"), ("id", &id), ("data", &filler)]);
        healthy.expect_update(&id, &filler);
        count += 1;
    }
    let got = String::from_utf8(stalled.rest()).unwrap();
    let whole = got.rfind("\n\n").map_or("", |end| &got[..end]);
    let last = whole
        .rsplit("id: ")
        .next()
        .unwrap()
        .split('\n')
        .next()
        .unwrap();
    let last: u32 = last.parse().unwrap();
    assert!(last < count - 1, "something is missing");
    let lines = format!("Last-Event-ID: {last}\r\n");
    let mut again = Subscriber::with(&server, "topic=a", &lines);
    for n in last + 1..count {
        again.expect_update(&n.to_string(), &filler);
    }
    again.expect_silence();
}

/// A hub whose connections take less than a page without a limit has, and hold 16 KiB more.
fn hub_with_short_queues(directory: &TempDir) -> Server {
    let address = format!("unix:{}", directory.path().join("hub.sock").display());
    let mut arguments = arguments(&["--anonymous", "--max-queue", "16KiB"]);
    let listen = arguments
        .iter()
        .position(|one| *one == "127.0.0.1:0")
        .unwrap();
    arguments[listen] = &address;
    Server::run(event_httpd(arguments))
}

#[test]
fn a_slow_reader_of_a_long_history_is_not_cut_off_though_its_queue_is_short() {
    // The second is seven times as long as an event.
    for (data, lines) in [("x".repeat(4000), 1), ("\n".repeat(2000), 2001)] {
        const UPDATES: u32 = 400;
        let directory = tempfile::tempdir().unwrap();
        let server = hub_with_short_queues(&directory);
        let mut publisher = Publisher::connect(&server);
        for n in 0..UPDATES {
            publisher.publish(&[("topic", "a"), ("id", &n.to_string()), ("data", &data)]);
        }
        let mut subscriber = Subscriber::to(&server, "topic=a&lastEventID=earliest");
        publisher.publish(&[("topic", "b"), ("data", "behind the first pages")]);
        let line = format!("data: {}\n", data.trim_end());
        for n in 0..UPDATES {
            subscriber.expect(&format!("id: {n}\n{}\n", line.repeat(lines)));
        }
        subscriber.expect_silence();
    }
}
