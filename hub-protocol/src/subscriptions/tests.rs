//! The index against asking every matcher, and what it costs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::matcher::evaluations;
use crate::{HubUrl, MatcherCache};

fn hub() -> HubUrl {
    HubUrl::parse("https://hub.example.com/.well-known/mercure").unwrap()
}

fn matcher(kind: MatcherKind, text: &str) -> Arc<Matcher> {
    Arc::new(Matcher::new(kind, text, &hub()).unwrap())
}

fn receivers<K: Copy + Ord>(subscriptions: &Subscriptions<K>, topics: &[&str]) -> Vec<K> {
    let hub = hub();
    let topics: Vec<_> = topics.iter().map(|topic| hub.topic(topic)).collect();
    let mut receivers = Vec::new();
    subscriptions.matching(&topics, &mut receivers);
    receivers
}

#[test]
fn subscriber_with_several_fitting_matchers_receives_once() {
    let mut subscriptions = Subscriptions::new();
    for (kind, text) in [
        (MatcherKind::Exact, "https://example.com/1"),
        (MatcherKind::UriTemplate, "https://example.com/1"),
        (MatcherKind::UriTemplate, "https://example.com/{id}"),
        (MatcherKind::UrlPattern, "https://example.com/:id"),
        (MatcherKind::Exact, "*"),
        (MatcherKind::UrlPattern, "*"),
    ] {
        assert!(subscriptions.insert(1, &matcher(kind, text)));
        assert!(subscriptions.insert(2, &matcher(kind, text)));
    }
    assert_eq!(subscriptions.len(), 12);
    let topics = ["https://example.com/1", "https://example.com/2"];
    assert_eq!(receivers(&subscriptions, &topics), [1, 2]);
}

#[test]
fn equal_matcher_is_inserted_and_removed_once() {
    let mut subscriptions = Subscriptions::new();
    for (kind, text) in [
        (MatcherKind::Exact, "a"),
        (MatcherKind::UriTemplate, "a"),
        (MatcherKind::UriTemplate, "a{b}"),
        (MatcherKind::UrlPattern, "/a/:b"),
        (MatcherKind::UrlPattern, "*"),
    ] {
        let (one, two) = (matcher(kind, text), matcher(kind, text));
        assert!(subscriptions.insert(1, &one));
        assert!(!subscriptions.insert(1, &two));
        assert!(!subscriptions.remove(2, &two));
        assert!(subscriptions.remove(1, &two));
        assert!(!subscriptions.remove(1, &one));
        assert!(subscriptions.is_empty());
    }
}

#[test]
fn removed_subscriptions_leave_nothing_behind() {
    let mut subscriptions = Subscriptions::new();
    let matchers: Vec<_> = (0..100)
        .flat_map(|number| {
            [
                matcher(MatcherKind::Exact, &format!("{number}")),
                matcher(
                    MatcherKind::UriTemplate,
                    &format!("{number}/{{x}}/{number}"),
                ),
                matcher(MatcherKind::UrlPattern, &format!("/{number}/:x")),
            ]
        })
        .collect();
    for (key, matcher) in matchers.iter().enumerate() {
        subscriptions.insert(key, matcher);
    }
    for (key, matcher) in matchers.iter().enumerate() {
        subscriptions.remove(key, matcher);
    }
    assert!(subscriptions.exact.is_empty());
    assert!(subscriptions.uri_templates.shapes.is_empty());
    assert!(subscriptions.url_patterns.shapes.is_empty());
}

/// 10,000 subscribers with 100 matchers each would be a million; a tenth shows the same.
#[test]
fn publishing_evaluates_only_patterns_that_begin_and_end_like_the_topic() {
    let mut subscriptions = Subscriptions::new();
    let cache = MatcherCache::new(hub(), 100);
    for subscriber in 0..1000 {
        for number in 0..50 {
            let template = format!("https://example.com/users/{subscriber}/{{x}}/room-{number}");
            subscriptions.insert(
                subscriber,
                &cache.get(MatcherKind::UriTemplate, &template).unwrap(),
            );
            let exact = format!("https://example.com/users/{subscriber}/{number}");
            subscriptions.insert(subscriber, &cache.get(MatcherKind::Exact, &exact).unwrap());
        }
    }
    let before = evaluations();
    let topic = "https://example.com/users/123/abc/room-7";
    assert_eq!(receivers(&subscriptions, &[topic]), [123]);
    let evaluated = evaluations() - before;
    // Of 50,000 patterns, the one with this user and room.
    assert_eq!(evaluated, 1);

    let before = evaluations();
    assert_eq!(
        receivers(&subscriptions, &["https://example.com/users/9/9"]),
        [9]
    );
    assert_eq!(evaluations() - before, 0);
}

#[test]
fn equal_patterns_of_many_subscribers_are_evaluated_once() {
    let mut subscriptions = Subscriptions::new();
    for subscriber in 0..10_000 {
        for (kind, text) in [
            (MatcherKind::UriTemplate, "https://example.com/{a}"),
            (MatcherKind::UrlPattern, "https://example.com/:a"),
        ] {
            // As the cache does, but the index does not rely on shared matchers.
            if subscriber % 5000 == 0 {
                subscriptions.insert(subscriber, &matcher(kind, text));
            }
        }
    }
    let template = matcher(MatcherKind::UriTemplate, "https://example.com/{a}");
    for subscriber in 0..10_000 {
        subscriptions.insert(subscriber, &template);
    }
    let before = evaluations();
    assert_eq!(
        receivers(&subscriptions, &["https://example.com/1"]).len(),
        10_000
    );
    assert_eq!(evaluations() - before, 2);
}

#[test]
fn number_of_shapes_is_bounded() {
    let mut subscriptions = Subscriptions::new();
    for prefix in 0..150 {
        for suffix in (0..60).step_by(3) {
            let template = format!("{:p<prefix$}{{x}}{:s<suffix$}", "", "");
            subscriptions.insert(0, &matcher(MatcherKind::UriTemplate, &template));
        }
    }
    let bound = (PREFIX_MAX + 1) * (SUFFIX_MAX + 1);
    assert!(subscriptions.uri_templates.shapes.len() <= bound);
}

/// Few texts, so that topics and matchers meet.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "(https://(example\\.com|EXAMPLE\\.com:443|other\\.org|u:p@example\\.com))?(/(a|b|ab|%41|é|:x|\\{x\\}|\\*|x\\{y\\}z|:x\\(a\\|b\\))){0,3}(\\?q=1|\\?q=:q|#f)?",
        Just("*".to_owned()),
        "(a|b|é){1,3}(\\{x\\}|\\{/x\\*\\}|\\{\\?q\\})?(a|b|é){0,2}",
        "(urn|data|x):(a|:y|\\*){1,2}",
    ]
}

fn any_kind() -> impl Strategy<Value = MatcherKind> {
    prop_oneof![
        Just(MatcherKind::Exact),
        Just(MatcherKind::UriTemplate),
        Just(MatcherKind::UrlPattern),
    ]
}

proptest! {
    #[test]
    fn index_finds_what_asking_every_matcher_finds(
        steps in proptest::collection::vec((any::<bool>(), 0u8..5, any_kind(), any_text()), 0..40),
        topics in proptest::collection::vec(any_text(), 1..5),
    ) {
        let hub = hub();
        let mut index = Subscriptions::new();
        let mut naive: Vec<(u8, Arc<Matcher>)> = Vec::new();
        for (insert, key, kind, text) in steps {
            let Ok(matcher) = Matcher::new(kind, &text, &hub) else { continue };
            let matcher = Arc::new(matcher);
            let known = naive.iter().position(|(other, one)| {
                *other == key && one.kind() == kind && one.text() == text
            });
            if insert {
                prop_assert_eq!(index.insert(key, &matcher), known.is_none());
                if known.is_none() {
                    naive.push((key, matcher));
                }
            } else {
                prop_assert_eq!(index.remove(key, &matcher), known.is_some());
                if let Some(at) = known {
                    naive.swap_remove(at);
                }
            }
        }
        prop_assert_eq!(index.len(), naive.len());
        let topics: Vec<_> = topics.iter().map(|topic| hub.topic(topic)).collect();
        let expected: BTreeSet<u8> = naive
            .iter()
            .filter(|(_, matcher)| topics.iter().any(|topic| matcher.matches(topic)))
            .map(|(key, _)| *key)
            .collect();
        let mut found = Vec::new();
        index.matching(&topics, &mut found);
        prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
    }
}
