//! Subscription events and the subscription API, in both forms.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Matcher;

fn matcher(kind: MatcherKind, text: &str) -> Matcher {
    Matcher::new(kind, text, &HubUrl::default()).unwrap()
}

fn subscription(matcher: &Matcher) -> Subscription<'_> {
    Subscription {
        kind: matcher.kind(),
        text: matcher.text(),
        subscriber: "urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6",
        active: true,
        payload: Some(r#"{"foo":"bar"}"#),
    }
}

fn read(document: &str) -> Value {
    serde_json::from_str(document).unwrap()
}

const SUBSCRIBER: &str = "urn%3Auuid%3Abb3de268-05b0-4c65-b44e-8f9acefc29d6";

#[test]
fn event_of_the_standard_form_is_that_of_the_specification() {
    let hub = HubUrl::default();
    let matcher = matcher(MatcherKind::UrlPattern, "https://example.com/:selector");
    let event = subscription(&matcher).event(&hub);
    let topic = format!(
        "/.well-known/mercure/subscriptions/urlpattern/https%3A%2F%2Fexample.com%2F%3Aselector/{SUBSCRIBER}"
    );
    assert_eq!(event.topics, [topic.as_str()]);
    assert_eq!(
        (event.private, event.event_type.as_deref()),
        (true, Some("mercure"))
    );
    assert!(event.check().is_ok());
    assert_eq!(
        read(&event.data),
        json!({
            "id": topic,
            "type": "subscription",
            "match_type": "urlpattern",
            "match": "https://example.com/:selector",
            "subscriber": "urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6",
            "active": true,
            "payload": {"foo": "bar"},
        })
    );
}

#[test]
fn event_of_the_deployed_form_is_that_of_its_specification() {
    let hub = HubUrl::default();
    let matcher = matcher(MatcherKind::UriTemplate, "https://example.com/{selector}");
    let mut ended = subscription(&matcher);
    ended.active = false;
    ended.payload = None;
    let event = ended.event(&hub);
    let topic = format!(
        "/.well-known/mercure/subscriptions/https%3A%2F%2Fexample.com%2F%7Bselector%7D/{SUBSCRIBER}"
    );
    assert_eq!(event.topics, [topic.as_str()]);
    assert_eq!((event.private, event.event_type), (true, None));
    assert_eq!(
        read(&event.data),
        json!({
            "@context": "https://mercure.rocks/",
            "id": topic,
            "type": "Subscription",
            "topic": "https://example.com/{selector}",
            "subscriber": "urn:uuid:bb3de268-05b0-4c65-b44e-8f9acefc29d6",
            "active": false,
        })
    );
}

#[test]
fn resource_is_the_document_of_the_event_and_has_the_cursor_in_the_deployed_form() {
    let hub = HubUrl::default();
    let (exact, template) = (
        matcher(MatcherKind::Exact, "a"),
        matcher(MatcherKind::UriTemplate, "b"),
    );
    let standard = subscription(&exact);
    assert_eq!(standard.resource(&hub, "1"), standard.document(&hub));
    let deployed = subscription(&template);
    let mut expected = read(&deployed.document(&hub));
    expected["lastEventID"] = json!("1");
    assert_eq!(read(&deployed.resource(&hub, "1")), expected);
    assert_eq!(media_type(Form::Deployed), "application/ld+json");
    assert_eq!(media_type(Form::Standard), "application/json");
}

#[test]
fn text_is_escaped_once() {
    let matcher = matcher(MatcherKind::Exact, "a%20b/é~");
    let topic = subscription(&matcher).topic(&HubUrl::default());
    assert_eq!(
        topic,
        format!("/.well-known/mercure/subscriptions/exact/a%2520b%2F%C3%A9~/{SUBSCRIBER}")
    );
}

#[test]
fn topics_begin_with_the_hubs_path() {
    let hub = HubUrl::parse("https://example.com/hub").unwrap();
    let matcher = matcher(MatcherKind::Exact, "a");
    let topic = subscription(&matcher).topic(&hub);
    assert_eq!(topic, format!("/hub/subscriptions/exact/a/{SUBSCRIBER}"));
    assert!(hub.topic(&topic).is_reserved());
}

#[test]
fn collections_list_their_subscriptions() {
    let hub = HubUrl::default();
    let (exact, template) = (
        matcher(MatcherKind::Exact, "a"),
        matcher(MatcherKind::UriTemplate, "b"),
    );
    let path = "/.well-known/mercure/subscriptions";
    let list = [subscription(&exact)];
    let document = read(&collection(path, Form::Standard, "1", list, &hub));
    assert_eq!(
        (&document["id"], &document["type"]),
        (&json!(path), &json!("subscriptions"))
    );
    assert_eq!(document["subscriptions"][0], read(&list[0].document(&hub)));
    assert_eq!(document.get("lastEventID"), None);

    let list = [subscription(&template)];
    let document = read(&collection(path, Form::Deployed, "1", list, &hub));
    assert_eq!(document["type"], "Subscriptions");
    assert_eq!(document["lastEventID"], "1");
    assert_eq!(document["@context"], "https://mercure.rocks/");
    assert_eq!(document["subscriptions"][0].get("@context"), None);
    assert_eq!(document["subscriptions"][0]["topic"], "b");
}

#[test]
fn paths_of_both_forms_name_resources() {
    let hub = HubUrl::default();
    let read =
        |rest: &str, forms| resource(&format!("{}/subscriptions{rest}", hub.path()), forms, &hub);
    let both = Forms::default();
    let (deployed, standard) = (
        Forms {
            standard: false,
            ..both
        },
        Forms {
            deployed: false,
            ..both
        },
    );
    let of = |kind, text: &str| {
        Some(Resource::Matcher {
            kind,
            text: text.to_owned(),
        })
    };
    let one = |kind, text: &str, subscriber: &str| {
        Some(Resource::One {
            kind,
            text: text.to_owned(),
            subscriber: subscriber.to_owned(),
        })
    };
    assert_eq!(read("", both), Some(Resource::All));
    assert_eq!(read("/exact/a", both), of(MatcherKind::Exact, "a"));
    assert_eq!(
        read("/urlpattern/a/b", standard),
        one(MatcherKind::UrlPattern, "a", "b")
    );
    assert_eq!(
        read("/a%7Bb%7D", both),
        of(MatcherKind::UriTemplate, "a{b}")
    );
    assert_eq!(read("/a/b", both), one(MatcherKind::UriTemplate, "a", "b"));
    // Without the standard form, `exact` is a topic like any other.
    assert_eq!(
        read("/exact/a", deployed),
        one(MatcherKind::UriTemplate, "exact", "a")
    );
    for rest in ["/", "//a", "/exact/a/", "/exact/a/b/c", "x", "/%FF"] {
        assert_eq!(read(rest, both), None, "{rest}");
    }
    for rest in ["/a", "/a/b", "/exact"] {
        assert_eq!(read(rest, standard), None, "{rest}");
    }
    assert_eq!(resource("/other/subscriptions", both, &hub), None);
}

proptest! {
    #[test]
    fn path_of_a_subscription_names_it(
        text in "[^\\p{Cc}\\p{Cf}]{1,20}",
        subscriber in "[^\\p{Cc}\\p{Cf}]{1,20}",
        exact in any::<bool>(),
    ) {
        let hub = HubUrl::default();
        let kind = if exact { MatcherKind::Exact } else { MatcherKind::UriTemplate };
        prop_assume!(Matcher::new(kind, &text, &hub).is_ok());
        // A topic that is called as a matcher type is taken for one.
        prop_assume!(MatcherKind::from_name(&text).is_none());
        let topic = Subscription {
            kind,
            text: &text,
            subscriber: &subscriber,
            active: true,
            payload: None,
        }
        .topic(&hub);
        let one = Resource::One { kind, text, subscriber };
        prop_assert_eq!(resource(&topic, Forms::default(), &hub), Some(one));
    }
}
