//! What a client may cost the hub.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use socket2::Socket as Socket2;

use super::support::{
    PATH, Publisher, Subscriber, ask, bearer, form, full_token, get, open_hub, post, token,
};
use super::support_broadcast::stop;
use super::support_http::{Client, Response, until};
use super::websocket::{OPENING, Socket};
use test_support::websocket::TEXT;

#[test]
fn patterns_that_cost_too_much_together_are_refused_and_ordinary_ones_are_not() {
    let server = open_hub(&["--max-header-size", "64KiB"]);
    let query = |pattern: &dyn Fn(usize) -> String| {
        let each = (0..100).map(|number| ("match_urlpattern", pattern(number)));
        let each: Vec<_> = each.collect();
        let each: Vec<_> = each
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        form(&each)
    };
    let costly = query(&|number| format!("/{number}(\\w{{200}}.{{200}}{number})"));
    let begun = Instant::now();
    let answer = ask(&server, &get(&format!("{PATH}?{costly}"), ""));
    assert_eq!(answer.status, 400);
    let body = String::from_utf8(answer.body).unwrap();
    assert!(body.contains("together"), "{body}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let ordinary = query(&|number| format!("https://{number}.example/:a/(\\d+)/x{number}/*"));
    Subscriber::to(&server, &ordinary);
}

#[test]
fn a_token_that_publishes_too_fast_gets_429_and_others_do_not() {
    let server = open_hub(&["--publish-rate", "2"]);
    let mut publisher = Publisher::connect(&server);
    let answers = (0..8).map(|_| {
        publisher
            .client
            .send(post("topic=a", &bearer(&full_token())));
        publisher.client.answer()
    });
    let refused: Vec<_> = answers.filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for answer in &refused {
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.field("Retry-After"), Some("1"));
        let body = str::from_utf8(&answer.body).unwrap();
        assert!(body.contains("--publish-rate"), "{body}");
    }
    let other = bearer(&token(&["a"], &[]));
    assert_eq!(ask(&server, &post("topic=a", &other)).status, 200);
}

#[test]
fn a_page_of_an_allowed_origin_may_read_why_its_request_was_too_long() {
    let origin = "https://app.example";
    let server = open_hub(&["--cors-origin", origin, "--max-body-size", "1KiB"]);
    let long = "x".repeat(2000);
    let lines = |origin: &str| format!("Origin: {origin}\r\n{}", bearer(&full_token()));
    let announced = ask(&server, &post(&long, &lines(origin)));
    let chunked = post("", &(lines(origin) + "Transfer-Encoding: chunked\r\n"))
        .replace("Content-Length: 0\r\n", "")
        + &format!("7d0\r\n{long}\r\n0\r\n\r\n");
    // They look like the end of a head.
    let behind_empty_lines = ask(&server, &format!("\r\n\r\n{}", post(&long, &lines(origin))));
    for answer in [announced, ask(&server, &chunked), behind_empty_lines] {
        assert_eq!(answer.status, 413, "{answer:?}");
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some(origin));
        assert_eq!(answer.field("Vary"), Some("Origin"));
    }
    let other = ask(&server, &post(&long, &lines("https://other.example")));
    assert_eq!(other.status, 413);
    assert_eq!(other.field("Access-Control-Allow-Origin"), None);
    assert_eq!(other.field("Vary"), Some("Origin"));
}

#[track_caller]
fn expect_429(answer: &Response, reason: &str) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    let body = str::from_utf8(&answer.body).unwrap();
    assert!(body.contains(reason), "{body}");
}

#[test]
fn an_address_with_too_many_subscribers_gets_429_until_one_leaves_and_others_do_not() {
    let server = open_hub(&["--subscribers-per-address", "2"]);
    let target = format!("{PATH}?topic=a");
    let stream = Subscriber::to(&server, "topic=a");
    let socket = Socket::open(&server, "topic=a", "");
    let reason = "--subscribers-per-address";
    expect_429(&ask(&server, &get(&target, "")), reason);
    expect_429(&ask(&server, &get(&target, OPENING)), reason);
    let other = |socket: &Socket2| {
        let address = SocketAddr::from(([127, 0, 0, 2], 0));
        socket.bind(&address.into())
    };
    let mut other = Client::connect_with(server.address(), other).unwrap();
    other.send(get(&target, ""));
    assert_eq!(other.answer_to_head().status, 200);
    drop(stream);
    until("there is room", || {
        let mut client = server.connect();
        client.send(get(&target, ""));
        (client.answer_to_head().status == 200).then_some(())
    });
    drop(socket);
}

#[test]
fn a_websocket_gets_429_where_a_stream_would_and_for_messages_that_come_too_fast() {
    let server = open_hub(&["--max-subscribers", "1", "--publish-rate", "1"]);
    let mut socket = Socket::open(&server, "topic=b", &bearer(&full_token()));
    let target = format!("{PATH}?topic=a");
    expect_429(&ask(&server, &get(&target, OPENING)), "as many subscribers");
    for _ in 0..3 {
        socket.send(TEXT, br#"{"topics": ["a"], "data": "x"}"#);
    }
    let refused = (0..3).filter(|_| {
        let (_, payload) = socket.frame();
        let answer: Value = serde_json::from_slice(&payload).unwrap();
        let reason = answer["reason"].as_str().unwrap_or_default();
        answer["refused"] == json!(429) && reason.contains("--publish-rate")
    });
    assert!(refused.count() >= 1, "the socket stays");
}

#[test]
fn a_subscriber_that_waits_for_the_history_counts_too() {
    let server = open_hub(&[
        "--workers",
        "1",
        "--max-subscribers",
        "1",
        "--bus-timeout",
        "5m",
    ]);
    let mut client = server.connect();
    client.send(get("/healthz", "")); // its next request is read before others connect
    assert_eq!(client.answer().status, 200);
    let master = stop(server.process().id());
    let target = format!("{PATH}?topic=a&lastEventID=earliest");
    client.send(get(&target, ""));
    expect_429(&ask(&server, &get(&target, "")), "as many subscribers");
    drop(master); // goes on
    assert_eq!(client.answer_to_head().status, 200);
    drop(client);
    until("there is room", || {
        let mut client = server.connect();
        client.send(get(&target, ""));
        (client.answer_to_head().status == 200).then_some(())
    });
}
