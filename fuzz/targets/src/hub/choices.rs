//! What clients choose from: topics, matchers, tokens, and the parts of an update.

use std::sync::LazyLock;

use hub_protocol::Forms;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::matching::{Kind, Pattern, escaped};

pub(super) const HUB: &str = "/.well-known/mercure";

/// Topics of updates. The last ones are refused.
pub(super) const TOPICS: [&str; 16] = [
    "a",
    "ab",
    "A",
    "books/1",
    "books/2",
    "books/1/pages",
    "books/",
    "books/{id}",
    "x/1",
    "https://example.com/books/1",
    "https://example.com/books/1/pages",
    "\u{e9}\u{1f600}",
    "",
    "*",
    "/.well-known/mercure/subscriptions/a/b",
    "a\nb",
];

/// Matchers of subscribers.
pub(super) const PATTERNS: [Pattern; 16] = [
    Pattern::new(Kind::Template, "a"),
    Pattern::new(Kind::Exact, "a"),
    Pattern::new(Kind::Template, "*"),
    Pattern::new(Kind::Exact, "*"),
    Pattern::new(Kind::Template, "books/{id}"),
    Pattern::new(Kind::Template, "{kind}/1"),
    Pattern::new(Kind::Exact, "books/1"),
    Pattern::new(Kind::Template, "https://example.com/books/{id}"),
    Pattern::new(Kind::UrlPattern, "https://example.com/books/:id"),
    Pattern::new(Kind::UrlPattern, "*"),
    Pattern::new(Kind::Template, "/.well-known/mercure/subscriptions/{t}/{s}"),
    Pattern::new(
        Kind::UrlPattern,
        "/.well-known/mercure/subscriptions/exact/*",
    ),
    Pattern::new(Kind::Exact, "ab"),
    Pattern::new(Kind::Template, "books/1"),
    Pattern::new(Kind::Exact, "\u{e9}\u{1f600}"),
    Pattern::new(Kind::Template, "{t}"),
];

/// The content of an update: a text that is repeated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    text: &'static str,
    times: usize,
}

impl Data {
    pub(super) fn of(number: u8) -> Self {
        let (text, times) = DATA[usize::from(number) % DATA.len()];
        Self { text, times }
    }

    pub(super) fn len(self) -> usize {
        self.text.len() * self.times
    }

    pub(super) fn text(self) -> String {
        self.text.repeat(self.times)
    }

    /// As it stands in a form.
    pub(super) fn escaped(self) -> String {
        escaped(self.text).repeat(self.times)
    }

    /// The least and the most bytes that bring it to a client.
    pub(super) fn sizes(self) -> (usize, usize) {
        let breaks = self.breaks() + 1;
        let as_json = json!(self.text).to_string().len() * self.times;
        (self.len(), as_json.max(self.len() + 6 * breaks))
    }

    /// How many bytes of it end lines.
    pub(super) fn breaks(self) -> usize {
        let breaks = self.text.bytes().filter(|byte| b"\r\n".contains(byte));
        breaks.count() * self.times
    }
}

const DATA: [(&str, usize); 16] = [
    ("x", 1),
    ("", 1),
    ("two\nlines", 1),
    ("one\r\ntwo\rthree\n", 1),
    ("\n", 1),
    ("\n\n", 1),
    (" space", 1),
    (":colon", 1),
    ("data: x\n\ndata: y", 1),
    ("{\"json\": \"\\\\\"}", 1),
    ("\u{e9}\u{2028}\u{1f600}", 1),
    ("\0\u{1}\u{7f}", 1),
    ("long ", 200),
    ("longer ", 1000),
    ("\r", 600),
    ("page ", 14_000),
];

/// Ids of updates; an empty one is left out. The last ones are refused.
pub(super) const IDS: [&str; 8] = ["", "1", "2", "10", "a b \u{e9}", "#x", "earliest", " 1"];

/// Types of events; an empty one is left out. The last one is refused.
pub(super) const TYPES: [&str; 4] = ["", "message", "a type", "mercure"];

/// Reconnection times; an empty one is left out. The last one is refused in a form.
pub(super) const RETRIES: [&str; 4] = ["", "0", "18446744073709551615", "x"];

/// Whose key has signed a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    Publishers,
    Subscribers,
    Nobody,
}

impl Signer {
    pub(super) fn secret(self) -> &'static str {
        match self {
            Self::Publishers => "the secret of publishers, of 32 bytes or more",
            Self::Subscribers => "the secret of subscribers, of 32 bytes or more",
            Self::Nobody => "a secret that the hub does not know, as long",
        }
    }
}

/// A token, and what it says.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) signer: Signer,
    pub(super) is_standard: bool,
    pub(super) has_expired: bool,
    pub(super) publish: &'static [Pattern],
    pub(super) subscribe: &'static [Pattern],
    payload: Option<&'static str>,
    pub(super) text: String,
}

impl Token {
    /// Whether a hub with these forms accepts it, if it knows its key.
    pub(super) fn is_valid(&self, forms: Forms) -> bool {
        let is_accepted = match self.is_standard {
            true => forms.standard,
            false => forms.deployed,
        };
        is_accepted && !self.has_expired
    }

    /// The payload of a subscription with that matcher.
    pub(super) fn payload(&self, pattern: &Pattern) -> Option<Value> {
        let covers = |own: &Pattern| own == pattern || own.matches(pattern.text);
        let applies = !self.is_standard || self.subscribe.iter().any(covers);
        let payload = self.payload.filter(|_| applies)?;
        Some(serde_json::from_str(payload).expect("JSON"))
    }

    fn sign(&mut self) {
        let mut header = Header::default();
        let mut claims = match self.is_standard {
            false => json!({ "mercure": {
                "publish": texts(self.publish),
                "subscribe": texts(self.subscribe),
            } }),
            true => {
                header.typ = Some("at+jwt".to_owned());
                json!({
                    "iss": "https://issuer.example",
                    "aud": "http://localhost/.well-known/mercure",
                    "authorization_details": details(self),
                })
            }
        };
        let payload = self.payload.map(serde_json::from_str::<Value>);
        if let Some(payload) = payload.filter(|_| !self.is_standard) {
            claims["mercure"]["payload"] = payload.expect("JSON");
        }
        if self.is_standard || self.has_expired {
            let year = if self.has_expired { 2000 } else { 2100 };
            claims["exp"] = json!((year - 1970) * 31_556_952_u64);
        }
        let key = EncodingKey::from_secret(self.signer.secret().as_bytes()).expect("a key");
        self.text = encode(&header, &claims, &key).expect("a token");
    }
}

fn texts(patterns: &[Pattern]) -> Vec<&str> {
    patterns.iter().map(|pattern| pattern.text).collect()
}

/// What a token of the standard form allows.
fn details(token: &Token) -> Vec<Value> {
    let mut details = Vec::new();
    for (action, patterns) in [("publish", token.publish), ("subscribe", token.subscribe)] {
        if patterns.is_empty() {
            continue;
        }
        let topics = patterns.iter().map(|pattern| match pattern.kind {
            Kind::UrlPattern => json!({ "match": pattern.text, "match_type": "urlpattern" }),
            _ => json!({ "match": pattern.text }),
        });
        let mut detail = json!({
            "type": "https://mercure.rocks/authorization-detail",
            "actions": [action],
            "topics": topics.collect::<Vec<_>>(),
        });
        if let Some(payload) = token.payload {
            detail["payload"] = serde_json::from_str(payload).expect("JSON");
        }
        details.push(detail);
    }
    details
}

const EVERYTHING: &[Pattern] = &[Pattern::new(Kind::Template, "*")];
const ONLY_A: &[Pattern] = &[Pattern::new(Kind::Template, "a")];
const BOOKS: &[Pattern] = &[Pattern::new(Kind::Template, "books/{id}")];
const STANDARD_EVERYTHING: &[Pattern] = &[Pattern::new(Kind::Exact, "*")];
const STANDARD_BOOKS: &[Pattern] = &[
    Pattern::new(Kind::Exact, "books/1"),
    Pattern::new(Kind::UrlPattern, "https://example.com/books/:id"),
];
const LISTS: &[Pattern] = &[
    Pattern::new(Kind::Template, "/.well-known/mercure/subscriptions"),
    Pattern::new(Kind::Template, "/.well-known/mercure/subscriptions/{t}"),
    Pattern::new(Kind::Template, "/.well-known/mercure/subscriptions/{t}/{s}"),
];

/// How many there are.
pub(super) const TOKENS: usize = 14;

pub(super) static ALL_TOKENS: LazyLock<[Token; TOKENS]> = LazyLock::new(|| {
    use Signer::{Nobody, Publishers, Subscribers};
    let token = |signer, publish, subscribe, payload| Token {
        signer,
        is_standard: false,
        has_expired: false,
        publish,
        subscribe,
        payload,
        text: String::new(),
    };
    let standard = |signer, publish, subscribe, payload| Token {
        is_standard: true,
        ..token(signer, publish, subscribe, payload)
    };
    let expired = Token {
        has_expired: true,
        ..token(Publishers, EVERYTHING, EVERYTHING, None)
    };
    let mut all = [
        token(Publishers, EVERYTHING, EVERYTHING, None),
        token(Subscribers, EVERYTHING, EVERYTHING, Some("{\"user\":7}")),
        token(Publishers, ONLY_A, ONLY_A, Some("\"a\"")),
        token(Subscribers, &[], ONLY_A, None),
        token(Publishers, BOOKS, BOOKS, Some("[1]")),
        token(Subscribers, &[], BOOKS, Some("2")),
        token(Publishers, EVERYTHING, &[], Some("3")),
        token(Subscribers, &[], LISTS, None),
        token(Nobody, EVERYTHING, EVERYTHING, None),
        expired,
        standard(Publishers, STANDARD_EVERYTHING, STANDARD_EVERYTHING, None),
        standard(Subscribers, &[], STANDARD_EVERYTHING, Some("{\"s\":1}")),
        standard(
            Publishers,
            STANDARD_BOOKS,
            STANDARD_BOOKS,
            Some("{\"s\":2}"),
        ),
        standard(Subscribers, &[], STANDARD_BOOKS, Some("{\"s\":3}")),
    ];
    all.iter_mut().for_each(Token::sign);
    all
});
