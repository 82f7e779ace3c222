//! An update for many subscribers leaves in slices, between which the loop serves everybody else.

use std::thread;

use super::support::{self, Publisher, Subscriber};
use super::support_broadcast::{Trace, in_each_turn, traced};
use super::support_http::Server;
use test_support::raise_descriptor_limit;

/// Subscribers of one slice, as docs/hub.md says.
const SLICE: usize = 192;

fn subscribers(server: &Server, count: usize) -> Vec<Subscriber> {
    raise_descriptor_limit();
    let query = |number: usize| match number % 2 {
        0 => "topic=a",
        _ => "topic=a&topic=b",
    };
    (0..count)
        .map(|number| Subscriber::to(server, query(number)))
        .collect()
}

/// A hub whose system calls are in the trace.
fn traced_hub(trace: &Trace) -> Server {
    let strace = ["-e", "trace=network,epoll_wait,epoll_pwait", "-s", "1000"];
    let arguments = support::arguments(&["--anonymous"]);
    Server::run(traced(&strace, &trace.file(), arguments))
}

#[test]
fn between_two_looks_at_what_is_ready_only_a_slice_of_the_subscribers_is_served() {
    let trace = Trace::new();
    let server = traced_hub(&trace);
    let mut subscribers = subscribers(&server, 500);
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[("topic", "a"), ("id", "1"), ("data", "first")]);
    for subscriber in &mut subscribers {
        subscriber.expect_update("1", "first");
    }
    publisher.publish(&[("topic", "c"), ("data", "the end")]);
    let calls = trace.between("data=first", "data=the");
    let slices = in_each_turn(&calls, |call| call.contains("id: 1"));
    assert_eq!(slices.iter().sum::<usize>(), subscribers.len());
    assert!(slices.iter().all(|events| *events <= SLICE), "{slices:?}");
}

#[test]
fn a_subscriber_who_wants_nothing_of_a_long_history_keeps_nobody_waiting() {
    const UPDATES: usize = 40; // each is a page of its own
    const PAGES: usize = 4; // of a turn
    let trace = Trace::new();
    let server = traced_hub(&trace);
    let mut publisher = Publisher::connect(&server);
    let data = "x".repeat(260 << 10);
    for _ in 0..UPDATES {
        publisher.publish(&[("topic", "a"), ("data", &data)]);
    }
    let mut subscriber = Subscriber::to(&server, "topic=other&lastEventID=earliest");
    publisher.publish(&[("topic", "other"), ("id", "1"), ("data", "live")]);
    subscriber.expect_update("1", "live");
    publisher.publish(&[("topic", "c"), ("data", "the end")]);
    let calls = trace.between("topic=other&lastEventID", "data=the");
    let before = calls.iter().take_while(|call| !call.contains("data: live"));
    let looks = before.filter(|call| call.starts_with("epoll_")).count();
    assert!(looks >= UPDATES / PAGES, "{looks} in {calls:#?}");
}

#[test]
fn a_publisher_gets_no_further_ahead_than_one_update_of_a_round() {
    const UPDATES: usize = 8;
    let trace = Trace::new();
    let server = traced_hub(&trace);
    let mut subscribers = subscribers(&server, 500);
    let mut publisher = Publisher::connect(&server);
    for n in 0..UPDATES {
        let text = format!("u{n}");
        publisher.publish(&[("topic", "a"), ("id", &text), ("data", &text)]);
    }
    for subscriber in &mut subscribers {
        for n in 0..UPDATES {
            let text = format!("u{n}");
            subscriber.expect_update(&text, &text);
        }
    }
    publisher.publish(&[("topic", "c"), ("data", "the end")]);
    let calls = trace.between("data=u0", "data=the");
    for n in 2..UPDATES {
        // It was read again when the update before the last one had reached all.
        let (update, event) = (format!("data=u{n}"), format!("data: u{}", n - 2));
        let before = calls.iter().take_while(|call| !call.contains(&update));
        let events = before.filter(|call| call.contains(&event)).count();
        assert_eq!(events, subscribers.len(), "before {update}");
    }
}

#[test]
fn many_publishers_to_many_subscribers_lose_nothing_and_all_see_one_order() {
    const PUBLISHERS: usize = 4;
    const EACH: usize = 30;
    let server = support::open_hub(&[]);
    let mut subscribers = subscribers(&server, 500);
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let server = &server;
            scope.spawn(move || {
                let topic = if publisher % 2 == 0 { "a" } else { "b" };
                let mut client = Publisher::connect(server);
                for n in 0..EACH {
                    let id = format!("{publisher}.{n:02}");
                    client.publish(&[("topic", topic), ("id", &id), ("data", &id)]);
                }
            });
        }
    });
    let event = |id: &str| format!("id: {id}\ndata: {id}\n\n");
    let length = event("0.00").len();
    let mut orders = [const { Vec::<String>::new() }; 2];
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let of_b = number % 2; // the others get the updates of half of the publishers
        let updates = (1 + of_b) * PUBLISHERS / 2 * EACH;
        let got = subscriber.client.take_exactly(updates * length);
        let got = String::from_utf8(got).unwrap();
        let events = got.split_inclusive("\n\n").map(str::to_owned);
        let events: Vec<_> = events.collect();
        if orders[of_b].is_empty() {
            orders[of_b] = events;
        } else {
            assert!(
                events == orders[of_b],
                "two subscribers saw different orders"
            );
        }
    }
    let [a, both] = orders;
    for publisher in 0..PUBLISHERS {
        let prefix = format!("id: {publisher}.");
        let of_one = both.iter().filter(|event| event.starts_with(&prefix));
        let expected = (0..EACH).map(|n| event(&format!("{publisher}.{n:02}")));
        assert!(of_one.cloned().eq(expected), "of publisher {publisher}");
    }
    let only_a = |event: &&String| event.starts_with("id: 0.") || event.starts_with("id: 2.");
    assert!(both.iter().filter(only_a).eq(&a), "all see one order");
}
