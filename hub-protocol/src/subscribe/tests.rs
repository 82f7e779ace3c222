//! Queries of subscribers.

use proptest::prelude::*;

use super::*;
use crate::{HubUrl, Status};

const BOTH: Forms = Forms {
    deployed: true,
    standard: true,
};
const DEPLOYED: Forms = Forms {
    deployed: true,
    standard: false,
};
const STANDARD: Forms = Forms {
    deployed: false,
    standard: true,
};

fn read(query: &str, field: Option<&str>, forms: Forms) -> Result<Request, Refusal> {
    let matchers = MatcherCache::new(HubUrl::default(), 100);
    parse(
        query.as_bytes(),
        field.map(str::as_bytes),
        forms,
        3,
        &matchers,
    )
}

fn matchers(query: &str, forms: Forms) -> Vec<(MatcherKind, String)> {
    let request = read(query, None, forms).unwrap();
    let pair = |one: &Arc<Matcher>| (one.kind(), one.text().to_owned());
    request.matchers.iter().map(pair).collect()
}

#[track_caller]
fn refused(query: &str, forms: Forms, reason: &str) {
    let refusal = read(query, None, forms).unwrap_err();
    assert_eq!(refusal.status(), Status::BadRequest);
    assert_eq!(refusal.reason(), reason);
    assert_eq!(refusal.challenge(None), None);
}

#[test]
fn every_matcher_parameter_is_read() {
    assert_eq!(
        matchers("topic=a%7Bb%7D&match=c&match_urlpattern=%2Fd%2F%3Ae", BOTH),
        [
            (MatcherKind::UriTemplate, "a{b}".to_owned()),
            (MatcherKind::Exact, "c".to_owned()),
            (MatcherKind::UrlPattern, "/d/:e".to_owned()),
        ]
    );
    assert_eq!(
        matchers("match_exact=a+b", STANDARD),
        [(MatcherKind::Exact, "a b".to_owned())]
    );
}

#[test]
fn equal_matchers_count_once() {
    assert_eq!(matchers("match=a&match=a&match_exact=a", BOTH).len(), 1);
    assert_eq!(matchers("match=a&topic=a", BOTH).len(), 2);
}

#[test]
fn request_says_which_forms_it_uses() {
    assert_eq!(read("topic=a", None, BOTH).unwrap().forms, DEPLOYED);
    assert_eq!(read("match=a", None, BOTH).unwrap().forms, STANDARD);
    assert_eq!(read("match=a&topic=b", None, BOTH).unwrap().forms, BOTH);
}

#[test]
fn parameter_in_the_reserved_namespace_is_refused() {
    for name in [
        "matches",
        "match_",
        "match_regex",
        "MATCH",
        "Match_exact",
        "match_URLPattern",
        "matchexact",
    ] {
        let reason = format!(
            "{name:?} is not a matcher type of this hub: it has match, match_exact and match_urlpattern"
        );
        refused(&format!("match=a&{name}=b"), BOTH, &reason);
        // The deployed form alone knows no such names.
        assert_eq!(matchers(&format!("topic=a&{name}=b"), DEPLOYED).len(), 1);
    }
}

#[test]
fn request_without_a_matcher_is_refused() {
    refused(
        "",
        BOTH,
        "the parameters \"match\" and \"topic\" are missing",
    );
    refused("match=a", DEPLOYED, "the parameter \"topic\" is missing");
    refused("topic=a", STANDARD, "the parameter \"match\" is missing");
}

#[test]
fn malformed_matchers_are_refused() {
    refused(
        "topic=a%7B",
        BOTH,
        "the matcher is not a valid URI template: an expression has no end",
    );
    refused("match=", BOTH, "the matcher is empty");
    refused("match", BOTH, "the matcher is empty");
    refused(
        "match=a%0A",
        BOTH,
        "the matcher has a control or format character",
    );
    refused("match=%FF", BOTH, "the field \"match\" is not valid UTF-8");
    assert!(read("match_urlpattern=(", None, BOTH).is_err());
}

#[test]
fn matchers_at_the_limit_are_taken_and_one_more_is_refused() {
    assert_eq!(matchers("match=a&match=b&topic=c", BOTH).len(), 3);
    refused(
        "match=a&match=b&topic=c&topic=d",
        BOTH,
        "more than 3 matchers",
    );
    // Also when they are equal: each costs.
    refused(
        "match=a&match=a&match=a&match=a",
        BOTH,
        "more than 3 matchers",
    );
}

#[test]
fn last_event_id_comes_from_the_field_and_else_from_the_query() {
    let id = |query: &str, field: Option<&str>| {
        let query = format!("match=a&{query}");
        read(&query, field, BOTH).unwrap().last_event_id
    };
    let after = |id: &str| Some(LastEventId::After(id.to_owned()));
    assert_eq!(id("", None), None);
    assert_eq!(id("lastEventID=1", None), after("1"));
    assert_eq!(id("last_event_id=1", None), after("1"));
    assert_eq!(id("last_event_id=1&lastEventID=2", None), after("1"));
    assert_eq!(id("lastEventID=2&last_event_id=1", None), after("1"));
    assert_eq!(id("last_event_id=1&lastEventID=2", Some("3")), after("3"));
    assert_eq!(id("last_event_id=1", Some("")), after("1"));
    assert_eq!(id("last_event_id=", None), None);
    assert_eq!(
        id("last_event_id=earliest", None),
        Some(LastEventId::Earliest)
    );
    assert_eq!(id("", Some("earliest")), Some(LastEventId::Earliest));
    assert_eq!(id("", Some("é")), after("é"));
}

#[test]
fn last_event_id_of_the_other_form_is_ignored() {
    let id = |query: &str, forms| read(query, None, forms).unwrap().last_event_id;
    assert_eq!(id("topic=a&last_event_id=1", DEPLOYED), None);
    assert_eq!(id("match=a&lastEventID=1", STANDARD), None);
}

#[test]
fn last_event_id_that_would_break_a_field_is_refused() {
    // Also one that does not count next to another, wherever it stands.
    for query in [
        "match=a&last_event_id=1%0D%0Ax",
        "match=a&last_event_id=1&lastEventID=1%0D%0Ax",
        "match=a&lastEventID=1%0D%0Ax&last_event_id=1",
    ] {
        let reason = "the last event id has a control or format character";
        refused(query, BOTH, reason);
    }
    let matchers = MatcherCache::new(HubUrl::default(), 100);
    for field in [b"\xff".as_slice(), b"a\tb"] {
        assert!(parse(b"match=a", Some(field), BOTH, 3, &matchers).is_err());
    }
}

#[test]
fn token_in_the_query_is_for_the_deployed_form_alone() {
    let token = |query: &str, forms| token(query.as_bytes(), forms);
    let query = "topic=a&match=a&authorization=t&authorization=u";
    assert_eq!(token(query, DEPLOYED).as_deref(), Some("t"));
    assert_eq!(token(query, STANDARD), None);
    assert_eq!(token("match=a&access_token=t", BOTH), None);
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused(
        query in "(topic|match|match_urlpattern|lastEventID|=|&|%[0-9A-F]{2}|[ -~]){0,20}",
    ) {
        if let Ok(request) = read(&query, None, BOTH) {
            prop_assert!(!request.matchers.is_empty());
        }
    }
}

#[test]
fn matchers_that_compile_to_too_much_together_are_refused() {
    let read = |pattern: &dyn Fn(usize) -> String| {
        let matchers = MatcherCache::new(HubUrl::default(), 100);
        let each = (0..100).map(|number| format!("match_urlpattern={}", pattern(number)));
        let query = each.collect::<Vec<_>>().join("&");
        parse(query.as_bytes(), None, BOTH, 100, &matchers)
    };
    let costly = |number| format!("/{number}(\\w{{200}}.{{200}}{number})");
    let refusal = read(&costly).unwrap_err();
    assert_eq!(refusal.status(), Status::BadRequest);
    assert!(refusal.reason().contains("together"), "{refusal}");
    let equal = |_| costly(0); // compiled once
    assert_eq!(read(&equal).unwrap().matchers.len(), 1);
    let ordinary = |number| format!("https://:a.{number}.example/:b/(\\d*)/x{number}?:c=:d");
    assert_eq!(read(&ordinary).unwrap().matchers.len(), 100);
}
