//! Active subscriptions: the events that tell of them, and their list.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::support::{
    KEY, Publisher, Subscriber, ask, bearer, full_token, get, open_hub, signed, token,
};
use super::support_broadcast::{Family, every_worker, kill, owner_of};
use super::support_http::{Response, Server, until};

pub(super) const LIST: &str = "/.well-known/mercure/subscriptions";

/// A subscriber to all events that tell of subscriptions.
pub(super) fn watch(server: &Server) -> Subscriber {
    let query = "topic=/.well-known/mercure/subscriptions/%7Ba%7D/%7Bb%7D\
                 &match_urlpattern=/.well-known/mercure/subscriptions/exact/*";
    let mut watcher = Subscriber::with(server, query, &bearer(&full_token()));
    let own = event(&mut watcher);
    assert_eq!(own["active"], json!(true), "it learns of its own: {own}");
    watcher
}

/// The next event, whose data is JSON.
#[track_caller]
pub(super) fn event(subscriber: &mut Subscriber) -> Value {
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        text.push(char::from(subscriber.client.take_exactly(1)[0]));
    }
    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
    serde_json::from_str(data.unwrap()).unwrap()
}

#[track_caller]
pub(super) fn list(server: &Server, path: &str) -> Response {
    let answer = ask(server, &get(path, &bearer(&full_token())));
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

#[track_caller]
pub(super) fn listed(server: &Server, path: &str) -> Vec<Value> {
    let document: Value = serde_json::from_slice(&list(server, path).body).unwrap();
    document["subscriptions"].as_array().unwrap().clone()
}

#[test]
fn a_subscription_is_told_and_listed_while_it_lasts() {
    for options in [
        &["--subscriptions", "--heartbeat", "0"][..],
        &["--subscriptions", "--heartbeat", "0", "--workers", "2"],
    ] {
        let server = open_hub(options);
        let mut watcher = watch(&server);
        let claims = json!({ "mercure": { "subscribe": ["a"], "payload": { "user": 7 } } });
        let lines = bearer(&signed(&claims, KEY));
        let subscriber = Subscriber::with(&server, "match=a", &lines);
        let began = event(&mut watcher);
        assert_eq!(
            (
                &began["type"],
                &began["match"],
                &began["match_type"],
                &began["active"]
            ),
            (
                &json!("subscription"),
                &json!("a"),
                &json!("exact"),
                &json!(true)
            )
        );
        assert_eq!(began["payload"], json!({ "user": 7 }));
        let id = began["id"].as_str().unwrap();
        assert!(
            id.starts_with(&format!("{LIST}/exact/a/urn%3Auuid%3A")),
            "{id}"
        );

        let answer = list(&server, &format!("{LIST}/exact/a"));
        assert_eq!(answer.field("Content-Type"), Some("application/json"));
        let link = answer.field("Link").unwrap();
        assert!(link.contains("; last-event-id=\"urn:uuid:"), "{link}");
        assert_eq!(
            listed(&server, &format!("{LIST}/exact/a")),
            std::slice::from_ref(&began)
        );
        assert_eq!(
            listed(&server, LIST).len(),
            3,
            "the watcher's two and this one"
        );
        let one: Value = serde_json::from_slice(&list(&server, id).body).unwrap();
        assert_eq!(one, began);

        drop(subscriber);
        let ended = event(&mut watcher);
        assert_eq!(
            (&ended["id"], &ended["active"]),
            (&began["id"], &json!(false))
        );
        assert_eq!(
            listed(&server, &format!("{LIST}/exact/a")),
            [] as [Value; 0]
        );
        let gone = ask(&server, &get(id, &bearer(&full_token())));
        assert_eq!(gone.status, 404);
    }
}

#[test]
fn a_subscription_of_the_deployed_form_is_told_and_listed_in_that_form() {
    let server = open_hub(&["--subscriptions", "--heartbeat", "0"]);
    let mut watcher = watch(&server);
    let _subscriber = Subscriber::to(&server, "topic=https://example.com/%7Bid%7D");
    let began = event(&mut watcher);
    assert_eq!(
        (&began["type"], &began["topic"], &began["@context"]),
        (
            &json!("Subscription"),
            &json!("https://example.com/{id}"),
            &json!("https://mercure.rocks/")
        )
    );
    let path = format!("{LIST}/https%3A%2F%2Fexample.com%2F%7Bid%7D");
    let answer = list(&server, &path);
    assert_eq!(answer.field("Content-Type"), Some("application/ld+json"));
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document["type"], json!("Subscriptions"));
    assert!(
        document["lastEventID"]
            .as_str()
            .unwrap()
            .starts_with("urn:uuid:")
    );
    assert_eq!(document["subscriptions"].as_array().unwrap().len(), 1);
}

#[test]
fn the_subscriptions_of_a_killed_worker_end() {
    let server = open_hub(&["--subscriptions", "--heartbeat", "0", "--workers", "2"]);
    let family = Family::of(&server);
    let worker = |subscriber: &Subscriber| owner_of(subscriber.client.socket(), &family.pids());
    let mut watcher = watch(&server);
    let mut others = Vec::new();
    until("a subscriber in the other worker", || {
        let subscriber = Subscriber::to(&server, "match=a");
        assert_eq!(event(&mut watcher)["active"], json!(true));
        others.push(subscriber);
        let other = worker(others.last().unwrap());
        (other != worker(&watcher)).then_some(())
    });
    kill(worker(others.last().unwrap()).unwrap(), Signal::SIGKILL);
    let ended = event(&mut watcher);
    assert_eq!(
        (&ended["match"], &ended["active"]),
        (&json!("a"), &json!(false))
    );
    every_worker(&server, 2, None);
    assert_eq!(
        listed(&server, &format!("{LIST}/exact/a")).len(),
        others.len() - 1
    );
}

#[test]
fn only_a_token_that_covers_them_shows_subscriptions_and_only_if_the_hub_tells() {
    let server = open_hub(&["--subscriptions", "--heartbeat", "0"]);
    let mut anonymous = Subscriber::to(&server, "match=*");
    let status = |server: &Server, path: &str, lines: &str| ask(server, &get(path, lines)).status;
    assert_eq!(status(&server, LIST, ""), 401);
    assert_eq!(status(&server, LIST, &bearer(&token(&["*"], &["a"]))), 403);
    assert_eq!(status(&server, LIST, &bearer(&token(&[], &[LIST]))), 200);
    let nothing = format!("{LIST}/a/b/c/d");
    assert_eq!(status(&server, &nothing, &bearer(&full_token())), 404);
    let _subscriber = Subscriber::to(&server, "match=a");
    Publisher::connect(&server).publish(&[("topic", "a"), ("id", "1"), ("data", "x")]);
    anonymous.expect_update("1", "x");
    let silent = open_hub(&[]);
    assert_eq!(status(&silent, LIST, &bearer(&full_token())), 404);
    let mut watcher = Subscriber::with(&silent, "match=*", &bearer(&full_token()));
    let _subscriber = Subscriber::to(&silent, "match=a");
    watcher.expect_silence();
}

#[test]
fn a_page_of_an_allowed_origin_is_told_before_it_asks_that_it_may_list_subscriptions() {
    let server = open_hub(&["--subscriptions", "--cors-origin", "https://app.example"]);
    let lines = "Origin: https://app.example\r\nAccess-Control-Request-Method: GET\r\n\
                 Access-Control-Request-Headers: authorization\r\n";
    for path in [LIST, &format!("{LIST}/exact/a")] {
        let mut client = server.connect();
        client.send(get(path, lines).replace("GET /", "OPTIONS /"));
        let preflight = client.answer_to_head();
        assert_eq!(preflight.status, 204, "{path}: {preflight:?}");
        assert_eq!(preflight.field("Allow"), Some("GET, HEAD, OPTIONS"));
        let methods = preflight.field("Access-Control-Allow-Methods");
        assert_eq!(methods, Some("GET, HEAD"));
        let headers = preflight.field("Access-Control-Allow-Headers").unwrap();
        assert!(headers.contains("Authorization"), "{headers}");
        let refused = ask(&server, &get(path, "").replace("GET", "DELETE"));
        assert_eq!(refused.status, 405, "{path}: {refused:?}");
    }
    let nothing = get(&format!("{LIST}ed"), lines).replace("GET /", "OPTIONS /");
    assert_eq!(ask(&server, &nothing).status, 404);
}
