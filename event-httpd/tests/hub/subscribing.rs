//! Subscribing: the answer, its end, and who is turned away.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::support::{
    KEY, PATH, Publisher, Subscriber, ask, bearer, get, hub, now, open_hub, signed, token,
};
use super::support_broadcast::counter;
use super::support_http::until;

#[test]
fn the_head_of_a_stream_keeps_proxies_and_caches_from_holding_it_back() {
    let server = open_hub(&[]);
    let subscriber = Subscriber::to(&server, "topic=a");
    for (name, value) in [
        ("Cache-Control", "private, no-cache, no-store"),
        ("X-Accel-Buffering", "no"),
        ("Link", "</.well-known/mercure>; rel=\"mercure\""),
        ("Connection", "close"),
        ("X-Content-Type-Options", "nosniff"),
    ] {
        assert_eq!(subscriber.head.field(name), Some(value), "{name}");
    }
    for name in [
        "Content-Length",
        "Last-Event-ID",
        "Mercure-Last-Event-ID",
        "Access-Control-Allow-Origin",
    ] {
        assert_eq!(subscriber.head.field(name), None, "{name}");
    }
}

#[test]
fn a_client_of_http_1_0_gets_a_stream_too() {
    let server = open_hub(&[]);
    let mut client = server.connect();
    client.send(format!("GET {PATH}?topic=a HTTP/1.0\r\n\r\n"));
    assert_eq!(client.answer_to_head().status, 200);
    let id = Publisher::connect(&server).publish(&[("topic", "a"), ("data", "x")]);
    let event = format!("id: {id}\ndata: x\n\n");
    assert_eq!(client.take_exactly(event.len()), event.as_bytes());
}

#[test]
fn a_subscriber_needs_a_good_token_unless_anybody_may_subscribe() {
    let closed = hub(&[]);
    let request = |lines: &str| get(&format!("{PATH}?topic=a"), lines);
    let answer = ask(&closed, &request(""));
    assert_eq!(answer.status, 401, "{answer:?}");
    // Nothing is compiled before.
    let malformed = PATH.to_owned() + "?match_urlpattern=(";
    assert_eq!(ask(&closed, &get(&malformed, "")).status, 401);
    let good = bearer(&token(&[], &[]));
    assert_eq!(ask(&closed, &get(&malformed, &good)).status, 400);
    let metadata = "resource_metadata=\"http://localhost/.well-known/oauth-protected-resource/.well-known/mercure\"";
    let challenge = answer.field("WWW-Authenticate");
    assert_eq!(challenge, Some(format!("Bearer {metadata}").as_str()));
    drop(Subscriber::with(
        &closed,
        "topic=a",
        &bearer(&token(&[], &[])),
    ));
    let bad = bearer(&signed(&json!({}), "another key, which is long enough"));
    for server in [&closed, &open_hub(&[])] {
        assert_eq!(ask(server, &request(&bad)).status, 401);
    }
}

#[test]
fn a_request_without_a_matcher_that_can_be_read_is_refused() {
    let server = open_hub(&[]);
    for query in [
        "",
        "data=x",
        "topic=",
        "topic=%7B",
        "match_urlpattern=(",
        "match_regexp=a",
        "MATCH=a",
        "topic=a%0Ab",
        "topic=%FF",
    ] {
        let answer = ask(&server, &get(&format!("{PATH}?{query}"), ""));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert_eq!(answer.field("Connection"), Some("keep-alive"));
    }
    let many =
        "topic=a%7Bb%7D".to_owned() + &(0..100).map(|n| format!("&topic={n}")).collect::<String>();
    assert_eq!(
        ask(&server, &get(&format!("{PATH}?{many}"), "")).status,
        400
    );
}

#[test]
fn each_form_of_the_protocol_can_be_turned_off() {
    let deployed = open_hub(&["--protocol", "deployed"]);
    let standard = open_hub(&["--protocol", "standard"]);
    let status = |server, query| ask(server, &get(&format!("{PATH}?{query}"), "")).status;
    assert_eq!(status(&deployed, "match=a"), 400);
    assert_eq!(status(&standard, "topic=a"), 400);
    drop(Subscriber::to(&deployed, "topic=a"));
    drop(Subscriber::to(&standard, "match=a"));
    let metadata = get(
        "/.well-known/oauth-protected-resource/.well-known/mercure",
        "",
    );
    assert_eq!(ask(&deployed, &metadata).status, 404);
    assert_eq!(ask(&standard, &metadata).status, 200);
}

#[test]
fn a_silent_stream_gets_heartbeats() {
    let server = open_hub(&["--heartbeat", "200ms"]);
    let start = Instant::now();
    let mut subscriber = Subscriber::to(&server, "topic=a");
    subscriber.expect(":\n:\n:\n");
    assert!(start.elapsed() >= Duration::from_millis(500));
}

#[test]
fn a_stream_ends_when_its_token_expires() {
    let server = hub(&[]);
    let exp = now() + 2;
    let claims = json!({ "mercure": { "subscribe": ["*"] }, "exp": exp });
    let mut subscriber = Subscriber::with(&server, "topic=a", &bearer(&signed(&claims, KEY)));
    let mut publisher = Publisher::connect(&server);
    let id = publisher.publish(&[("topic", "a"), ("data", "x")]);
    subscriber.expect_update(&id, "x");
    subscriber.client.expect_close();
    assert!(now() <= exp, "not later than the token says");
    publisher.publish(&[("topic", "a"), ("data", "y")]);
}

#[test]
fn a_subscriber_too_many_gets_429_until_another_leaves() {
    let server = open_hub(&["--max-subscribers", "2"]);
    let first = Subscriber::to(&server, "topic=a");
    let _second = Subscriber::to(&server, "topic=a");
    let request = get(&format!("{PATH}?topic=a"), "");
    let answer = ask(&server, &request);
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(answer.field("Retry-After").is_some(), "{answer:?}");
    let malformed = get(&format!("{PATH}?topic=%7B"), "");
    let answer = ask(&server, &malformed);
    assert_eq!(
        answer.status, 429,
        "the matchers are compiled where there is room"
    );
    drop(first);
    super::support_http::until("there is room again", || {
        let mut client = server.connect();
        client.send(&request);
        (client.answer_to_head().status == 200).then_some(())
    });
}

#[test]
fn only_pages_of_the_named_origins_may_read_answers() {
    let server = open_hub(&["--cors-origin", "https://app.example"]);
    let from = |origin: &str| format!("Origin: {origin}\r\n");
    let head = Subscriber::with(&server, "topic=a", &from("https://app.example")).head;
    let origin = head.field("Access-Control-Allow-Origin");
    assert_eq!(origin, Some("https://app.example"));
    assert_eq!(head.field("Access-Control-Allow-Credentials"), Some("true"));
    assert_eq!(head.field("Vary"), Some("Origin"));
    let readable = head.field("Access-Control-Expose-Headers").unwrap();
    for field in ["Last-Event-ID", "Retry-After", "WWW-Authenticate"] {
        assert!(readable.contains(field), "{readable}");
    }
    let head = Subscriber::with(&server, "topic=a", &from("https://evil.example")).head;
    assert_eq!(head.field("Access-Control-Allow-Origin"), None);
    let preflight = |origin: &str| {
        let lines = from(origin) + "Access-Control-Request-Method: POST\r\n";
        let mut client = server.connect();
        client.send(get(PATH, &lines).replace("GET", "OPTIONS"));
        client.answer_to_head()
    };
    let allowed = preflight("https://app.example");
    assert_eq!(allowed.status, 204);
    let headers = allowed.field("Access-Control-Allow-Headers").unwrap();
    assert!(headers.contains("Authorization") && headers.contains("Last-Event-ID"));
    let refused = preflight("https://evil.example");
    assert_eq!(refused.field("Access-Control-Allow-Methods"), None);
    let every = open_hub(&["--cors-origin", "*"]);
    let head = Subscriber::with(&every, "topic=a", &from("https://any.example")).head;
    assert_eq!(head.field("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(head.field("Access-Control-Allow-Credentials"), None);
}

#[test]
fn other_paths_and_methods_have_answers_of_their_own() {
    let server = open_hub(&[]);
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/healthz", 405),
        ("GET", "/", 404),
        ("GET", "/.well-known/mercure/x", 404),
        ("DELETE", PATH, 405),
        ("GET", "http://x/healthz", 200),
    ] {
        let answer = ask(&server, &get(path, "").replace("GET", method));
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.field("Allow").is_some(), status == 405);
    }
    let demo = open_hub(&["--demo"]);
    let page = ask(&demo, &get("/", ""));
    assert_eq!(page.field("Content-Type"), Some("text/html; charset=utf-8"));
}

#[test]
fn head_gets_the_fields_of_the_stream_and_keeps_the_connection() {
    let server = open_hub(&[]);
    let stream = Subscriber::to(&server, "topic=a").head;
    let mut client = server.connect();
    client.send(get(&format!("{PATH}?topic=a"), "").replace("GET", "HEAD"));
    let head = client.answer_to_head();
    assert_eq!(head.status, 200);
    for name in [
        "Content-Type",
        "Cache-Control",
        "X-Accel-Buffering",
        "Link",
        "Content-Length",
    ] {
        assert_eq!(head.field(name), stream.field(name), "{name}");
    }
    client.send(get("/healthz", ""));
    assert_eq!(client.answer().status, 200, "the connection is kept");
}

#[test]
fn the_counters_say_how_many_subscribers_there_are() {
    let server = open_hub(&[]);
    let one = Subscriber::to(&server, "topic=a&topic=b");
    let other = Subscriber::to(&server, "topic=a&lastEventID=earliest");
    let counted = || {
        server.process().signal(Signal::SIGUSR1);
        let log = server.log();
        let line = log.iter().rfind(|line| line.contains("counters"))?;
        let names = ["subscribers", "subscriptions", "store_waits"];
        Some(names.map(|name| counter(line, name)))
    };
    until("both are counted", || {
        counted().filter(|counted| *counted == [2, 3, 0])
    });
    drop((one, other));
    until("none is left", || {
        counted().filter(|counted| *counted == [0, 0, 0])
    });
}

#[test]
fn a_stopping_hub_ends_its_streams_at_once() {
    let server = open_hub(&["--grace", "60s"]);
    let mut subscriber = Subscriber::to(&server, "topic=a");
    let start = Instant::now();
    server.process().signal(Signal::SIGTERM);
    subscriber.client.expect_close();
    let (status, _log) = server.end();
    assert!(status.success() && start.elapsed() < Duration::from_secs(20));
}
