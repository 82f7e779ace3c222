//! Publishing: who may, what is refused, and who gets it.

use nix::sys::signal::Signal;
use serde_json::json;

use super::support::{
    KEY, Publisher, Subscriber, ask, bearer, form, full_token, now, open_hub, post, signed, token,
};
use super::support_broadcast::{Trace, counter, stop, traced};
use super::support_http::{Server, until};
use super::websocket::Socket;

#[test]
fn an_update_reaches_the_subscribers_of_its_topics_and_nobody_else() {
    let server = open_hub(&[]);
    let mut exact = Subscriber::to(&server, "topic=https://example.com/books/1");
    let mut template = Subscriber::to(&server, "topic=https://example.com/books/%7Bid%7D");
    let mut pattern = Subscriber::to(&server, "match_urlpattern=https://example.com/books/:id");
    let mut alternate = Subscriber::to(&server, "match=other&match=news");
    let mut everything = Subscriber::to(&server, "match=*");
    let mut nothing = Subscriber::to(&server, "topic=https://example.com/books/2");
    let id = Publisher::connect(&server).publish(&[
        ("topic", "https://example.com/books/1"),
        ("topic", "news"),
        ("data", "hello"),
    ]);
    assert!(id.starts_with("urn:uuid:"), "{id}");
    for subscriber in [
        &mut exact,
        &mut template,
        &mut pattern,
        &mut alternate,
        &mut everything,
    ] {
        subscriber.expect_update(&id, "hello");
    }
    nothing.expect_silence();
}

#[test]
fn a_private_update_reaches_only_subscribers_whose_token_allows_it() {
    let server = open_hub(&[]);
    let mut anonymous = Subscriber::to(&server, "topic=a");
    let mut other = Subscriber::with(&server, "topic=a", &bearer(&token(&["*"], &["b"])));
    let mut entitled = Subscriber::with(&server, "topic=a", &bearer(&token(&[], &["a"])));
    let query = format!("topic=a&authorization={}", token(&[], &["a"]));
    let mut in_query = Subscriber::to(&server, &query);
    let cookie = format!("Cookie: mercureAuthorization={}\r\n", token(&[], &["a"]));
    let mut in_cookie = Subscriber::with(&server, "topic=a", &cookie);
    let mut publisher = Publisher::connect(&server);
    publisher.publish(&[
        ("topic", "a"),
        ("data", "secret"),
        ("private", "on"),
        ("id", "1"),
    ]);
    publisher.publish(&[("topic", "a"), ("data", "public"), ("id", "2")]);
    for subscriber in [&mut entitled, &mut in_query, &mut in_cookie] {
        subscriber.expect_update("1", "secret");
        subscriber.expect_update("2", "public");
    }
    for subscriber in [&mut anonymous, &mut other] {
        subscriber.expect_update("2", "public");
    }
}

#[test]
fn each_field_of_an_update_is_a_field_of_the_event_and_no_data_makes_another() {
    let server = open_hub(&[]);
    let mut subscriber = Subscriber::to(&server, "topic=a");
    Publisher::connect(&server).publish(&[
        ("topic", "a"),
        ("id", "urn:1"),
        ("type", "note"),
        ("retry", "1500"),
        ("data", "one\ntwo\r\nid: forged\rthree\n\n"),
        ("unknown", "ignored"),
    ]);
    subscriber.expect(
        "id: urn:1\nevent: note\nretry: 1500\ndata: one\ndata: two\ndata: id: forged\n\
         data: three\ndata: \ndata: \n\n",
    );
}

#[test]
fn pipelined_updates_are_answered_and_arrive_in_order() {
    let server = open_hub(&[]);
    let mut subscriber = Subscriber::to(&server, "topic=a");
    let mut publisher = Publisher::connect(&server);
    let ids: Vec<String> = (0..300).map(|n| format!("urn:{n}")).collect();
    let requests: String = ids
        .iter()
        .map(|id| publisher.request(&[("topic", "a"), ("id", id), ("data", id)]))
        .collect();
    publisher.client.send(requests);
    for id in &ids {
        assert_eq!(publisher.published(), *id);
        subscriber.expect_update(id, id);
    }
}

#[test]
fn updates_of_one_turn_arrive_in_order_whoever_else_receives_them() {
    let server = open_hub(&[]);
    let mut both = Subscriber::to(&server, "topic=a&topic=b");
    let mut one = Subscriber::to(&server, "topic=a");
    let mut other = Subscriber::to(&server, "topic=b");
    let mut socket = Socket::open(&server, "topic=a", "");
    let mut publisher = Publisher::connect(&server);
    let topics = |n: usize| [&["a"][..], &["b"], &["a", "b"], &["a"]][n % 4];
    let requests = (0..60).map(|n| {
        let id = n.to_string();
        let mut fields = vec![("id", &*id), ("data", &id)];
        fields.extend(topics(n).iter().map(|topic| ("topic", *topic)));
        publisher.request(&fields)
    });
    let requests: String = requests.collect();
    let stopped = stop(server.process().id());
    publisher.client.send(requests);
    drop(stopped);
    for n in 0..60 {
        let id = n.to_string();
        assert_eq!(publisher.published(), id);
        both.expect_update(&id, &id);
        if topics(n).contains(&"a") {
            one.expect_update(&id, &id);
            socket.expect_json(&json!({"id": id, "topics": topics(n), "data": id}));
        }
        if topics(n).contains(&"b") {
            other.expect_update(&id, &id);
        }
    }
    server.process().signal(Signal::SIGUSR1);
    let deliveries = 60 + 45 + 30 + 45;
    let counters = server.line("deliveries");
    assert_eq!(counter(&counters, "deliveries"), deliveries, "{counters}");
}

#[test]
fn updates_that_come_together_leave_together() {
    let trace = Trace::new();
    let options = ["-e", "trace=write,writev,sendto", "-s", "4096"];
    let keys = ["--publisher-key", KEY, "--anonymous", "--heartbeat", "0"];
    let arguments = [&["hub", "--listen", "127.0.0.1:0"][..], &keys].concat();
    let server = Server::run(traced(&options, &trace.file(), arguments));
    let mut subscribers = [(); 3].map(|()| Subscriber::to(&server, "topic=a"));
    let mut publishers = [(); 8].map(|()| Publisher::connect(&server));
    let stopped = stop(server.process().id());
    for publisher in &mut publishers {
        let request = publisher.request(&[("topic", "a"), ("id", "u"), ("data", "x")]);
        publisher.client.send(request);
    }
    drop(stopped);
    for subscriber in &mut subscribers {
        (0..8).for_each(|_| subscriber.expect_update("u", "x"));
    }
    let event = r"id: u\ndata: x\n\n";
    until("the writes are in the trace", || {
        let text = std::fs::read_to_string(trace.file()).ok()?;
        let writes = text.lines().filter(|line| line.contains(event));
        let joined = writes
            .clone()
            .filter(|line| line.matches(event).count() == 8);
        let expected = (subscribers.len(), subscribers.len());
        ((writes.count(), joined.count()) == expected).then_some(())
    });
}

#[test]
fn a_publisher_without_a_good_token_is_refused_and_told_why() {
    let server = open_hub(&[]);
    let mut subscriber = Subscriber::to(&server, "topic=a");
    let body = form(&[("topic", "a"), ("data", "x")]);
    let claims = |extra: (&str, u64)| {
        let mut claims = json!({ "mercure": { "publish": ["*"] } });
        claims[extra.0] = extra.1.into();
        claims
    };
    let unsigned = "eyJhbGciOiJub25lIn0.eyJtZXJjdXJlIjp7InB1Ymxpc2giOlsiKiJdfX0.";
    let cookie = format!("Cookie: mercureAuthorization={}\r\n", full_token());
    for (lines, status, error) in [
        (String::new(), 401, None),
        (
            bearer(&signed(
                &claims(("x", 0)),
                "another key, which is long enough",
            )),
            401,
            Some("invalid_token"),
        ),
        (bearer(unsigned), 401, Some("invalid_token")),
        (bearer("x"), 401, Some("invalid_token")),
        (
            bearer(&signed(&claims(("exp", now() - 10)), KEY)),
            401,
            Some("invalid_token"),
        ),
        (
            bearer(&signed(&claims(("nbf", now() + 60)), KEY)),
            401,
            Some("invalid_token"),
        ),
        (
            bearer(&token(&["b"], &["*"])),
            403,
            Some("insufficient_scope"),
        ),
        (bearer(&token(&[], &["*"])), 403, Some("insufficient_scope")),
        (
            "Authorization: Basic eDp5\r\n".to_owned(),
            400,
            Some("invalid_request"),
        ),
        (cookie.clone(), 403, Some("insufficient_scope")),
        (
            cookie.clone() + "Origin: https://evil.example\r\n",
            403,
            Some("insufficient_scope"),
        ),
    ] {
        let answer = ask(&server, &post(&body, &lines));
        assert_eq!(answer.status, status, "{lines}: {answer:?}");
        let challenge = answer.field("WWW-Authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        match error {
            Some(error) => assert!(
                challenge.contains(&format!("error=\"{error}\"")),
                "{challenge}"
            ),
            None => assert!(!challenge.contains("error"), "{challenge}"),
        }
        let body = String::from_utf8(answer.body).unwrap();
        assert!(body.len() > 10 && !body.contains(KEY), "{body}");
    }
    let own = cookie + "Origin: http://localhost\r\n";
    assert_eq!(ask(&server, &post(&body, &own)).status, 200);
    let read = subscriber.client.take_exactly("id: urn:uuid:".len());
    assert_eq!(read, b"id: urn:uuid:", "only the last one was published");
}

#[test]
fn a_malformed_update_is_refused_with_the_reason() {
    let server = open_hub(&["--max-queue", "64KiB"]);
    let mut subscriber = Subscriber::to(&server, "topic=a");
    let lines = bearer(&full_token());
    let long = "x".repeat(5000);
    let breaks = "\n".repeat(20_000);
    let controls = "\u{1}".repeat(20_000); // as long as an event, six times as long in JSON
    let topics = "topic=a&".repeat(101);
    let long_topics = format!("topic={}&", "x".repeat(4000)).repeat(17); // in a WebSocket's message
    for (body, status, reason) in [
        (form(&[("data", "x")]), 400, "topic"),
        (form(&[("topic", "")]), 400, "topic"),
        (form(&[("topic", "*")]), 400, "reserved"),
        (form(&[("topic", "a\u{7}")]), 400, "control"),
        (
            form(&[("topic", "/.well-known/mercure/subscriptions/x")]),
            400,
            "reserved",
        ),
        (form(&[("topic", "a"), ("id", "#1")]), 400, "#"),
        (form(&[("topic", "a"), ("id", "earliest")]), 400, "reserved"),
        (
            form(&[("topic", "a"), ("id", "1\ndata: x")]),
            400,
            "control",
        ),
        (form(&[("topic", "a"), ("type", "a\nb")]), 400, "control"),
        (
            form(&[("topic", "a"), ("type", "mercure")]),
            400,
            "reserved",
        ),
        (form(&[("topic", "a"), ("retry", "1s")]), 400, "retry"),
        ("topic=a&data=%FF".to_owned(), 400, "UTF-8"),
        (form(&[("topic", &long)]), 413, "longer"),
        (topics, 413, "topics"),
        (
            form(&[("topic", "a"), ("data", &breaks)]),
            413,
            "--max-queue",
        ),
        (
            form(&[("topic", "a"), ("data", &controls)]),
            413,
            "--max-queue",
        ),
        (long_topics, 413, "--max-queue"),
    ] {
        let answer = ask(&server, &post(&body, &lines));
        assert_eq!(answer.status, status, "{body:.80}: {answer:?}");
        let text = String::from_utf8_lossy(&answer.body);
        assert!(text.contains(reason), "{body:.80}: {text}");
    }
    let json = post("{}", &lines).replace("x-www-form-urlencoded", "json");
    assert_eq!(ask(&server, &json).status, 400);
    subscriber.expect_silence();
}
