//! Topic matchers: a template matches what it expands to, the index finds whom asking every matcher
//! finds, and no matcher takes long.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arbitrary::{Result, Unstructured};
use hub_protocol::{HubUrl, Matcher, MatcherCache, MatcherKind, Subscriptions};

/// Parts of patterns and topics; the topics use the first ones only. There is no `]`: urlpattern 0.6.0
/// panics for `https://]` where overflows are checked, and libFuzzer does not let the hub catch it.
const PARTS: &[&str] = &[
    "a",
    "b",
    "/",
    "a",
    "1",
    "-",
    "é",
    "%41",
    "?",
    "#",
    "x=1",
    "&",
    ".",
    "//",
    "https:",
    "https://example.com/",
    "https://example.com",
    "HTTPS://EXAMPLE.com:443/",
    ",",
    ";",
    "books",
    "{id}",
    "{+p}",
    "{#f}",
    "{/p*}",
    "{?q,r}",
    "{;v}",
    "{.d:3}",
    "{&x*}",
    "{",
    "}",
    ":id",
    ":a",
    "*",
    "(\\d+)",
    "(a|b)",
    "(a*)*",
    "(.*)",
    "{a}?",
    "+",
    "\\",
    "{x{100}}",
    "[",
    "\u{200b}",
    "\n",
    " ",
];
const TOPIC_PARTS: usize = 21;

/// The longest match of a long topic; one that is not linear takes much longer.
const MATCH_MAX: Duration = Duration::from_secs(2);

const KINDS: [MatcherKind; 3] = [
    MatcherKind::Exact,
    MatcherKind::UriTemplate,
    MatcherKind::UrlPattern,
];

fn text(u: &mut Unstructured<'_>, parts: &[&str]) -> Result<String> {
    let count = u.int_in_range(1..=8)?;
    (0..count).map(|_| u.choose(parts).copied()).collect()
}

/// An operator of an expression: its letter, what its expansion begins with, what stands between
/// two variables, and whether each has its name (RFC 6570 appendix A).
const OPERATORS: [(&str, &str, &str, bool); 8] = [
    ("", "", ",", false),
    ("+", "", ",", false),
    ("#", "#", ",", false),
    (".", ".", ".", false),
    ("/", "/", "/", false),
    (";", ";", ";", true),
    ("?", "?", "&", true),
    ("&", "&", "&", true),
];

/// Literals, and what they expand to. What must be escaped may also stand there as it is.
const LITERALS: &[(&str, &str)] = &[
    ("", ""),
    ("/", "/"),
    ("k:", "k:"),
    ("é", "%C3%A9"),
    ("é", "é"),
    (" k", "%20k"),
    (" ", " "),
];

/// Appends an expression to a template, and to its expansion what comes of it.
fn expand(u: &mut Unstructured<'_>, template: &mut String, expansion: &mut String) -> Result<()> {
    let (letter, first, separator, is_named) = *u.choose(&OPERATORS)?;
    let (mut names, mut parts) = (Vec::new(), Vec::new());
    for name in ["a", "b", "c1"].into_iter().take(u.int_in_range(1..=3)?) {
        names.push(name);
        let value = u.choose(&[None, Some(""), Some("x"), Some("%41"), Some("-_.~9")])?;
        parts.extend(value.map(|value| match (is_named, value) {
            (false, value) => value.to_owned(),
            (true, "") if letter == ";" => name.to_owned(),
            (true, value) => format!("{name}={value}"),
        }));
    }
    *template += &format!("{{{letter}{}}}", names.join(","));
    if !parts.is_empty() {
        *expansion += first;
        *expansion += &parts.join(separator);
    }
    Ok(())
}

/// Whether this expansion of the template was not looked at lately. Most inputs begin as others do,
/// and a template is the most expensive to compile.
fn is_new(template: &str, expansion: &str) -> bool {
    thread_local! {
        // Of a fixed size: what grows looks like a leak to libFuzzer.
        static KNOWN: RefCell<Box<[u64]>> = RefCell::new([0; 4096].into());
    }
    let mut hasher = DefaultHasher::new();
    (template, expansion).hash(&mut hasher);
    let hash = hasher.finish();
    KNOWN.with_borrow_mut(|known| {
        let place = usize::try_from(hash).expect("64 bits") % known.len();
        std::mem::replace(&mut known[place], hash) != hash
    })
}

/// A template matches what it expands to and itself, and nothing that begins otherwise.
fn match_expansion(u: &mut Unstructured<'_>, hub: &HubUrl) -> Result<()> {
    let (mut template, mut expansion) = ("k".to_owned(), "k".to_owned());
    for _ in 0..u.int_in_range(1..=4)? {
        let (literal, expanded) = *u.choose(LITERALS)?;
        template += literal;
        expansion += expanded;
        expand(u, &mut template, &mut expansion)?;
    }
    if !is_new(&template, &expansion) {
        return Ok(());
    }
    let matcher = Matcher::new(MatcherKind::UriTemplate, &template, hub).expect("a template");
    assert!(
        matcher.matches(&hub.topic(&expansion)),
        "{template:?} {expansion:?}"
    );
    assert!(matcher.matches(&hub.topic(&template)), "{template:?}");
    let other = format!("q{}", &expansion[1..]);
    assert!(
        !matcher.matches(&hub.topic(&other)),
        "{template:?} {other:?}"
    );
    Ok(())
}

/// The subscribers, by their number, whose matchers select one of the topics.
fn naive(
    all: &BTreeSet<(u8, usize)>,
    matchers: &[Arc<Matcher>],
    hub: &HubUrl,
    topics: &[String],
) -> Vec<u8> {
    let topics: Vec<_> = topics.iter().map(|topic| hub.topic(topic)).collect();
    let selects = |matcher: &Arc<Matcher>| topics.iter().any(|topic| matcher.matches(topic));
    let selected: Vec<bool> = matchers.iter().map(selects).collect();
    let mut keys: Vec<u8> = all
        .iter()
        .filter(|(_, matcher)| selected[*matcher])
        .map(|(key, _)| *key)
        .collect();
    keys.dedup();
    keys
}

static HUB: LazyLock<HubUrl> =
    LazyLock::new(|| HubUrl::parse("https://example.com/hub").expect("a URL"));

fn compare(u: &mut Unstructured<'_>) -> Result<()> {
    let hub = &*HUB;
    match_expansion(u, hub)?;
    let cache = MatcherCache::new(hub.clone(), 2048);
    let (mut matchers, mut index, mut all) = (Vec::new(), Subscriptions::new(), BTreeSet::new());
    for _ in 0..u.int_in_range(1..=12)? {
        let (kind, text) = (*u.choose(&KINDS)?, text(u, PARTS)?);
        if let Ok(matcher) = cache.get(kind, &text) {
            assert_eq!((matcher.kind(), matcher.text()), (kind, text.as_str()));
            if !matchers.iter().any(|known| Arc::ptr_eq(known, &matcher)) {
                matchers.push(matcher);
            }
        }
    }
    for _ in 0..u.int_in_range(1..=32)? {
        if matchers.is_empty() {
            return Ok(());
        }
        let (key, matcher) = (u.int_in_range(0..=7)?, u.choose_index(matchers.len())?);
        if u.ratio(1, 4)? {
            assert_eq!(
                index.remove(key, &matchers[matcher]),
                all.remove(&(key, matcher))
            );
        } else {
            assert_eq!(
                index.insert(key, &matchers[matcher]),
                all.insert((key, matcher))
            );
        }
        assert_eq!(index.len(), all.len());
    }
    for _ in 0..4 {
        let count = u.int_in_range(1..=3)?;
        let mut topics = Vec::new();
        for _ in 0..count {
            topics.push(text(u, &PARTS[..TOPIC_PARTS])?);
        }
        let mut receivers = Vec::new();
        let borrowed: Vec<_> = topics.iter().map(|topic| hub.topic(topic)).collect();
        index.matching(&borrowed, &mut receivers);
        assert_eq!(
            receivers,
            naive(&all, &matchers, hub, &topics),
            "{topics:?} {matchers:?} {all:?}"
        );
    }
    if u.ratio(1, 16)? {
        let part = text(u, &PARTS[..TOPIC_PARTS])?;
        let topic = part.repeat(64 * 1024 / part.len());
        let topic = hub.topic(&topic);
        for matcher in &matchers {
            let start = Instant::now();
            let _ = matcher.matches(&topic);
            assert!(start.elapsed() < MATCH_MAX, "{matcher:?} and {part:?}");
        }
    }
    Ok(())
}

pub(crate) fn run(input: &[u8]) {
    // Bytes that are used up end it.
    compare(&mut Unstructured::new(input)).ok();
}
