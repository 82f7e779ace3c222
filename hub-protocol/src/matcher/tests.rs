//! What matches what, and that no matcher costs too much.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn hub() -> HubUrl {
    HubUrl::parse("https://hub.example.com/.well-known/mercure").unwrap()
}

fn matches(kind: MatcherKind, text: &str, topic: &str) -> bool {
    let hub = hub();
    let matcher = Matcher::new(kind, text, &hub).unwrap_or_else(|error| panic!("{text}: {error}"));
    matcher.matches(&hub.topic(topic))
}

fn error(kind: MatcherKind, text: &str) -> MatcherError {
    Matcher::new(kind, text, &hub()).expect_err(text)
}

#[test]
fn exact_matcher_compares_bytes() {
    let exact = |text, topic| matches(MatcherKind::Exact, text, topic);
    assert!(exact("https://example.com/é", "https://example.com/é"));
    assert!(!exact(
        "https://example.com/é",
        "https://example.com/%C3%A9"
    ));
    assert!(!exact("https://example.com", "https://example.com/"));
    assert!(!exact("A", "a"));
    assert!(exact("a{b}", "a{b}"));
    assert!(!exact("a{b}", "ab"));
}

#[test]
fn star_matches_everything_whatever_its_kind() {
    for kind in [
        MatcherKind::Exact,
        MatcherKind::UriTemplate,
        MatcherKind::UrlPattern,
    ] {
        assert!(matches(kind, "*", "https://["));
        assert!(matches(kind, "*", "anything"));
    }
    assert!(!matches(MatcherKind::Exact, "**", "anything"));
}

/// Templates and their expansions in RFC 6570 §3.2, with `var` = value, `hello` = Hello World!,
/// `path` = /foo/bar, `list` = (red, green, blue), `keys` = (semi ;, dot ., comma ,),
/// `x` = 1024, `y` = 768, `empty` = "", `who` = fred, `half` = 50%.
const EXPANSIONS: &[(&str, &str)] = &[
    ("O{empty}X", "OX"),
    ("O{undef}X", "OX"),
    ("{x,y}", "1024,768"),
    ("{x,hello,y}", "1024,Hello%20World%21,768"),
    ("?{x,empty}", "?1024,"),
    ("?{x,undef}", "?1024"),
    ("?{undef,y}", "?768"),
    ("{var:3}", "val"),
    ("{var:30}", "value"),
    ("{list}", "red,green,blue"),
    ("{list*}", "red,green,blue"),
    ("{keys}", "semi,%3B,dot,.,comma,%2C"),
    ("{keys*}", "semi=%3B,dot=.,comma=%2C"),
    ("{+hello}", "Hello%20World!"),
    ("{+half}", "50%25"),
    ("{+base}index", "http://example.com/home/index"),
    ("{+path:6}here", "/foo/bhere"),
    ("{+list*}", "red,green,blue"),
    ("{+keys*}", "semi=;,dot=.,comma=,"),
    ("{#var}", "#value"),
    ("{#x,hello,y}", "#1024,Hello%20World!,768"),
    ("{#path:6}here", "#/foo/bhere"),
    ("{#keys}", "#semi,;,dot,.,comma,,"),
    ("foo{#empty}", "foo#"),
    ("foo{#undef}", "foo"),
    ("{.who,who}", ".fred.fred"),
    ("X{.list*}", "X.red.green.blue"),
    ("X{.keys*}", "X.semi=%3B.dot=..comma=%2C"),
    ("{/who}", "/fred"),
    ("{/var:1,var}", "/v/value"),
    ("{/list*,path:4}", "/red/green/blue/%2Ffoo"),
    ("{/keys*}", "/semi=%3B/dot=./comma=%2C"),
    ("{;x,y}", ";x=1024;y=768"),
    ("{;x,y,empty}", ";x=1024;y=768;empty"),
    ("{;v,empty,who}", ";v=6;empty;who=fred"),
    ("{;hello:5}", ";hello=Hello"),
    ("{;list*}", ";list=red;list=green;list=blue"),
    ("{;keys*}", ";semi=%3B;dot=.;comma=%2C"),
    ("{?x,y}", "?x=1024&y=768"),
    ("{?x,y,undef}", "?x=1024&y=768"),
    ("{?var:3}", "?var=val"),
    ("{?list}", "?list=red,green,blue"),
    ("{?keys*}", "?semi=%3B&dot=.&comma=%2C"),
    ("?fixed=yes{&x}", "?fixed=yes&x=1024"),
    ("{&x,y,empty}", "&x=1024&y=768&empty="),
    ("{&list*}", "&list=red&list=green&list=blue"),
    (
        "https://example.com/users/foo/{?topic}",
        "https://example.com/users/foo/?topic=https%3A%2F%2Fexample.com%2Fbooks%2F1",
    ),
];

#[test]
fn uri_template_matches_its_expansions_and_itself() {
    for (template, expansion) in EXPANSIONS {
        assert!(
            matches(MatcherKind::UriTemplate, template, expansion),
            "{template} {expansion}"
        );
        assert!(
            matches(MatcherKind::UriTemplate, template, template),
            "{template}"
        );
    }
}

#[test]
fn uri_template_does_not_match_other_strings() {
    let cases = [
        (
            "https://example.com/books/{id}",
            "https://example.com/books/1/2",
        ),
        (
            "https://example.com/books/{id}",
            "https://example.com/books/1?x",
        ),
        (
            "https://example.com/books/{id}",
            "https://example.com/books/a b",
        ),
        (
            "https://example.com/books/{id}",
            "https://example.com/books/é",
        ),
        (
            "https://example.com/books/{id}",
            "https://example.com/books/%4",
        ),
        (
            "https://example.com/books/{id}",
            "xhttps://example.com/books/1",
        ),
        ("https://example.com/{id}/x", "https://example.com/1/y"),
        ("a.b/{id}", "aXb/1"),
        ("{x,y}", "1/2"),
        ("{var:3}", "valu"),
        ("{?x}", "?y=1"),
        ("{?x}", "?x=1&x=2"),
        ("{?x,y}", "?y=1&x=2"),
        ("{+path}", "a b"),
    ];
    for (template, topic) in cases {
        assert!(
            !matches(MatcherKind::UriTemplate, template, topic),
            "{template} {topic}"
        );
    }
}

#[test]
fn text_without_an_expression_matches_itself_alone() {
    assert!(matches(
        MatcherKind::UriTemplate,
        "https://example.com/a.b",
        "https://example.com/a.b"
    ));
    assert!(!matches(
        MatcherKind::UriTemplate,
        "https://example.com/a.b",
        "https://example.com/aXb"
    ));
    assert!(matches(MatcherKind::UriTemplate, "a b \" é", "a b \" é"));
}

#[test]
fn literal_characters_match_escaped_and_unescaped() {
    for topic in ["é/1", "%C3%A9/1", "%c3%a9/1"] {
        assert!(
            matches(MatcherKind::UriTemplate, "é/{id}", topic),
            "{topic}"
        );
    }
    assert!(!matches(MatcherKind::UriTemplate, "é/{id}", "e/1"));
}

#[test]
fn malformed_uri_template_is_refused() {
    for text in [
        "{",
        "a{b",
        "a}b",
        "{}",
        "{a,}",
        "{,a}",
        "{a b}",
        "{a{b}}",
        "{=a}",
        "{|a}",
        "{!a}",
        "{@a}",
        "{a:}",
        "{a:0}",
        "{a:10000}",
        "{a:-1}",
        "{a:1*}",
        "{a**}",
        "{a.}",
        "{.}",
        "{%4}",
        "{é}",
        "{a-b}",
        "}{a}",
    ] {
        assert!(
            matches!(
                error(MatcherKind::UriTemplate, text),
                MatcherError::UriTemplate(_)
            ),
            "{text}"
        );
    }
}

#[test]
fn url_pattern_matches_as_the_standard_says() {
    let pattern = |text, topic| matches(MatcherKind::UrlPattern, text, topic);
    assert!(pattern(
        "https://example.com/books/:id",
        "https://example.com/books/1"
    ));
    assert!(!pattern(
        "https://example.com/books/:id",
        "https://example.com/books/1/2"
    ));
    assert!(!pattern(
        "https://example.com/books/:id",
        "https://example.com/books/"
    ));
    assert!(!pattern(
        "https://example.com/books/:id",
        "http://example.com/books/1"
    ));
    assert!(pattern(
        "https://example.com/books/*",
        "https://example.com/books/1/2"
    ));
    assert!(pattern(
        "https://example.com/books/:id(\\d+)",
        "https://example.com/books/12"
    ));
    assert!(!pattern(
        "https://example.com/books/:id(\\d+)",
        "https://example.com/books/x"
    ));
    assert!(pattern(
        "https://*.example.com/:a/:b?",
        "https://x.example.com/1"
    ));
    assert!(pattern("*://example.com/*", "ws://example.com/x"));
    assert!(pattern(
        "https://example.com/a{b}?",
        "https://example.com/a"
    ));
    assert!(pattern(
        "https://example.com/x?q=:q",
        "https://example.com/x?q=1"
    ));
    assert!(!pattern(
        "https://example.com/x?q=:q",
        "https://example.com/x"
    ));
    assert!(pattern("urn\\:uuid\\:*", "urn:uuid:1"));
}

#[test]
fn classes_of_a_url_pattern_are_ascii_unless_they_name_unicode() {
    let pattern = |text, topic| matches(MatcherKind::UrlPattern, text, topic);
    assert!(pattern("/:a(\\w+)", "/az09_"));
    assert!(!pattern("/:a(\\w+)", "/a-z"));
    assert!(pattern("/:a(\\p{L}+)", "/abc"));
    assert!(!pattern("/:a(\\p{L}+)", "/ab1"));
    // Other letters are escaped in URLs.
    assert!(!pattern("/:a(\\p{L}+)", "/é"));
    assert!(pattern("/:a(.+)", "/é"));
}

#[test]
fn url_pattern_compares_hosts_without_case_and_paths_with_case() {
    let pattern = |topic| {
        matches(
            MatcherKind::UrlPattern,
            "https://EXAMPLE.com:443/A/:id",
            topic,
        )
    };
    assert!(pattern("https://example.COM/A/1"));
    assert!(!pattern("https://example.com/a/1"));
}

#[test]
fn relative_url_patterns_and_topics_refer_to_the_hub() {
    let text = "/.well-known/mercure/subscriptions/exact/:topic/:subscriber";
    let topic = "/.well-known/mercure/subscriptions/exact/a/b";
    assert!(matches(MatcherKind::UrlPattern, text, topic));
    let absolute = format!("https://hub.example.com{topic}");
    assert!(matches(MatcherKind::UrlPattern, text, &absolute));
    let elsewhere = format!("https://example.com{topic}");
    assert!(!matches(MatcherKind::UrlPattern, text, &elsewhere));
    let text = format!("https://hub.example.com{text}");
    assert!(matches(MatcherKind::UrlPattern, &text, topic));
}

#[test]
fn topic_that_is_no_url_matches_no_url_pattern() {
    assert!(!matches(MatcherKind::UrlPattern, "*://*/*", "https://["));
    assert!(!matches(
        MatcherKind::UrlPattern,
        "*://*:*/*",
        "https://a b/"
    ));
}

#[test]
fn malformed_url_pattern_is_refused() {
    for text in [
        "https://example.com/(",
        "https://example.com/{a",
        "https://example.com/:",
        "\\",
        "https://]",
        "https://[]]/",
    ] {
        assert!(
            matches!(
                error(MatcherKind::UrlPattern, text),
                MatcherError::UrlPattern(_)
            ),
            "{text}"
        );
    }
    // Groups that need backtracking have no place in a linear engine.
    for text in ["/(?=a)", "/((?!x).*)", "/:id((a)\\1)"] {
        let error = error(MatcherKind::UrlPattern, text);
        assert!(
            matches!(
                error,
                MatcherError::Expression | MatcherError::UrlPattern(_)
            ),
            "{text}"
        );
    }
}

#[test]
fn matcher_that_compiles_to_too_much_is_refused() {
    let kind = MatcherKind::UrlPattern;
    assert_eq!(
        error(kind, "/:a(\\w{1000}\\w{1000}\\w{1000})"),
        MatcherError::Expression
    );
    assert_eq!(
        error(kind, "/:a((?:x{100}){100})"),
        MatcherError::Expression
    );
    assert_eq!(
        error(MatcherKind::UriTemplate, "{a:9999}"),
        MatcherError::Expression
    );
    let variables = |count: usize| {
        let names: Vec<_> = (0..count).map(|number| format!("v{number}")).collect();
        format!("{{?{}}}", names.join(","))
    };
    assert!(Matcher::new(MatcherKind::UriTemplate, &variables(16), &hub()).is_ok());
    for count in [60, 600] {
        assert_eq!(
            error(MatcherKind::UriTemplate, &variables(count)),
            MatcherError::Expression
        );
    }
}

#[test]
fn matcher_with_hidden_or_no_characters_is_refused() {
    for kind in [
        MatcherKind::Exact,
        MatcherKind::UriTemplate,
        MatcherKind::UrlPattern,
    ] {
        assert_eq!(error(kind, ""), MatcherError::Empty);
        for text in [
            "a\nb",
            "a\0",
            "a\u{7f}",
            "a\u{9f}",
            "a\u{200d}b",
            "a\u{2066}b",
        ] {
            assert_eq!(error(kind, text), MatcherError::Character);
        }
    }
}

/// Patterns that take an engine with backtracking exponential or cubic time.
#[test]
fn hostile_matchers_take_time_linear_in_the_topic() {
    let hub = hub();
    let hostile = [
        (MatcherKind::UrlPattern, "/((?:a*)*)b", "/"),
        (MatcherKind::UrlPattern, "/((?:a+)+)x", "/"),
        (MatcherKind::UrlPattern, "/*a*a*a*a*a*a*ab", "/"),
        (MatcherKind::UrlPattern, "/:x((?:a|a)*)b", "/"),
        (MatcherKind::UriTemplate, "/{a}{b}{c}{d}{e}{f}!", "/"),
        (MatcherKind::UriTemplate, "/{+a*}{+b*}{+c*}{+d*}é", "/"),
        (MatcherKind::UriTemplate, "/{a*,b*,c*,d*,e*}!", "/"),
    ];
    for (kind, text, prefix) in hostile {
        let matcher = Matcher::new(kind, text, &hub).unwrap();
        let time = |length: usize| {
            let topic = format!("{prefix}{}", "a".repeat(length));
            let topic = hub.topic(&topic);
            (0..3)
                .map(|_| {
                    let begun = Instant::now();
                    assert!(!matcher.matches(&topic), "{text}");
                    begun.elapsed()
                })
                .min()
                .unwrap()
        };
        let _warm = time(100);
        let (short, long) = (time(4_000), time(64_000));
        // 16 times the length: linear is 16, quadratic 256.
        let bound = short.max(Duration::from_micros(200)) * 64;
        assert!(long < bound, "{text}: {short:?}, {long:?}");
    }
}

#[test]
fn cache_shares_equal_matchers_while_they_are_used() {
    let cache = MatcherCache::new(hub(), 100);
    let one = cache.get(MatcherKind::UriTemplate, "a{b}").unwrap();
    let two = cache.get(MatcherKind::UriTemplate, "a{b}").unwrap();
    assert!(Arc::ptr_eq(&one, &two));
    let other = cache.get(MatcherKind::Exact, "a{b}").unwrap();
    assert!(!Arc::ptr_eq(&one, &other));
}

#[test]
fn cache_forgets_matchers_that_nobody_uses() {
    let cache = MatcherCache::new(hub(), 100);
    let kept = cache.get(MatcherKind::Exact, "kept").unwrap();
    for number in 0..10_000 {
        let _ = cache.get(MatcherKind::Exact, &number.to_string()).unwrap();
    }
    assert!(cache.matchers.borrow().values.len() <= 2 * SWEEP_MIN);
    assert!(Arc::ptr_eq(
        &kept,
        &cache.get(MatcherKind::Exact, "kept").unwrap()
    ));
}

#[test]
fn matchers_that_differ_in_plain_text_share_their_expression() {
    let cache = MatcherCache::new(hub(), 100);
    let matchers: Vec<_> = (0..100)
        .flat_map(|number| {
            [
                cache.get(
                    MatcherKind::UriTemplate,
                    &format!("/users/{number}/{{a}}/x{number}"),
                ),
                cache.get(MatcherKind::UrlPattern, &format!("/users/{number}/:a/:b")),
            ]
        })
        .map(Result::unwrap)
        .collect();
    assert_eq!(cache.expressions.borrow().0.values.len(), 2);
    let hub = hub();
    assert!(matchers[4].matches(&hub.topic("/users/2/1/x2")));
    assert!(!matchers[4].matches(&hub.topic("/users/3/1/x2")));
    assert!(matchers[5].matches(&hub.topic("/users/2/1/x2")));
    assert!(!matchers[5].matches(&hub.topic("/users/3/1/x2")));
}

#[test]
fn affixes_of_a_template_do_not_overlap_in_the_topic() {
    assert!(matches(MatcherKind::UriTemplate, "aba{x}aba", "abaaba"));
    assert!(!matches(MatcherKind::UriTemplate, "aba{x}aba", "ababa"));
}

#[test]
fn matcher_at_the_length_limit_is_taken_and_one_byte_more_is_not() {
    let cache = MatcherCache::new(hub(), 5);
    assert!(cache.get(MatcherKind::Exact, "12345").is_ok());
    let error = cache.get(MatcherKind::Exact, "123456").unwrap_err();
    assert_eq!(error, MatcherError::TooLong(5));
    assert_eq!(Refusal::from(error).status().code(), 400);
}

/// Pieces from which patterns are made that a parser may stumble over.
pub(crate) const PIECES: &str = r"(\{|\}|\(|\)|\[|\]|\*|\+|\?|:|\\|/|//|#|@|\.|,|;|&|=|\||!|%|%41|-|a|b|1|é|ß|😀|:id|\{id\}|https|https://|example\.com|:8|\(\\d\+\)|\(a\|b\)|\^|\$| )";

proptest! {
    #[test]
    fn any_text_is_a_matcher_or_an_error(
        text in proptest::collection::vec(PIECES, 0..12).prop_map(|pieces| pieces.concat()),
        topic in proptest::collection::vec(PIECES, 0..6).prop_map(|pieces| pieces.concat()),
    ) {
        let hub = hub();
        for kind in [MatcherKind::Exact, MatcherKind::UriTemplate, MatcherKind::UrlPattern] {
            if let Ok(matcher) = Matcher::new(kind, &text, &hub) {
                let _ = matcher.matches(&hub.topic(&topic));
                if kind != MatcherKind::UrlPattern {
                    prop_assert!(matcher.matches(&hub.topic(&text)));
                }
            }
        }
    }

    #[test]
    fn any_characters_are_a_matcher_or_an_error(text in "\\PC{0,30}", topic in any::<String>()) {
        let hub = hub();
        for kind in [MatcherKind::UriTemplate, MatcherKind::UrlPattern] {
            if let Ok(matcher) = Matcher::new(kind, &text, &hub) {
                let _ = matcher.matches(&hub.topic(&topic));
            }
        }
    }
}

/// Another automaton, which `regex` makes for groups, has a limit of 1 MiB of its own.
#[test]
fn expression_with_a_group_takes_no_more_than_its_limit() {
    let expression = "^([acegikmoqsuwyACEGIKMOQSUWY13579._~-]x{900})$";
    let size = COMPILED_STEPS[1];
    let taken = compile(expression, size).unwrap().memory_usage();
    assert!(taken < 3 * size, "{taken}");
}
