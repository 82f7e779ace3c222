//! A request, made of parts that an input names.

use super::words::op;
use super::{HISTORY, ORIGINS, TOPICS, tokens};

/// Targets without their query. As often, it is [`HUB`].
const PATHS: [&str; 9] = [
    "http://x/.well-known/mercure",
    "HTTPS://x:1/.well-known/mercure",
    "http://x",
    "/.well-known/mercure/",
    "/.well-known/%6dercure",
    "//x/.well-known/mercure",
    "/a://b/.well-known/mercure",
    "/.well-known/mercures",
    "/healthz",
];

/// Methods: most requests subscribe or publish.
const METHODS: [&str; 8] = [
    "GET", "POST", "GET", "POST", "GET", "HEAD", "OPTIONS", "PUT",
];

/// The choice of a `GET` at the hub. The next one is a `POST`.
pub(super) const AT_THE_HUB: u8 = 8 * 9;

/// Where the hub is.
pub(super) const HUB: &str = "/.well-known/mercure";

const NAMES: [&str; 9] = [
    "topic",
    "match",
    "match_exact",
    "Topic",
    "lastEventID",
    "last_event_id",
    "authorization",
    "matcher",
    "other",
];

/// Origins as browsers send them, and URLs that look like them.
pub(super) const URLS: [&str; 18] = [
    ORIGINS[0],
    ORIGINS[1],
    "http://localhost",
    "https://a.example/page?x",
    "https://b.example:8443/",
    "https://a.example.evil.example",
    "https://a.example@evil.example",
    "https://xa.example",
    "https://a.exampl",
    "http://a.example",
    "https://b.example",
    "https://a.example:443",
    "https://A.EXAMPLE",
    "https://a.example:8443",
    "null",
    "https://evil.example/https://a.example",
    "https://evil.example?https://a.example",
    "a.example",
];

pub(super) const DEPLOYED_COOKIE: &str = "mercureAuthorization";
pub(super) const STANDARD_COOKIE: &str = "__Secure-mercure_access_token";

/// A request of a stranger.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) query: String,
    pub(super) fields: Vec<(&'static str, Vec<u8>)>,
    pub(super) topics: Vec<&'static str>, // of the body
    pairs: Vec<(String, String)>,         // that were escaped for the query
    has_raw_query: bool,
    cookie: String,
}

/// Reads parts of an input.
struct Parts<'a>(&'a [u8]);

impl Parts<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn number(&mut self) -> usize {
        self.byte().into()
    }

    fn name(&mut self) -> String {
        let number = self.number() % (NAMES.len() + 1);
        match NAMES.get(number) {
            Some(name) => (*name).to_owned(),
            None => String::from_utf8_lossy(&self.bytes()).into_owned(),
        }
    }

    fn value(&mut self) -> String {
        let number = self.number() % 24;
        match number {
            0..7 => TOPICS[number].to_owned(),
            7..10 => HISTORY[number - 7].to_owned(),
            10 => "*".to_owned(),
            11 => "earliest".to_owned(),
            12 => "unknown".to_owned(),
            13 => String::new(),
            14..22 => tokens::text(number - 14).to_owned(),
            _ => String::from_utf8_lossy(&self.bytes()).into_owned(),
        }
    }
}

impl Request {
    pub(super) fn read(choice: u8, input: &[u8]) -> Self {
        let (method, path) = (usize::from(choice % 8), usize::from(choice / 8));
        let mut request = Self {
            method: METHODS[method],
            path: PATHS.get(path % (2 * PATHS.len())).unwrap_or(&HUB),
            ..Self::default()
        };
        let mut parts = Parts(input);
        while !parts.0.is_empty() {
            let op = parts.byte() % op::COUNT;
            request.add(op, &mut parts);
        }
        if !request.cookie.is_empty() {
            let cookie = std::mem::take(&mut request.cookie).into_bytes();
            request.fields.push(("Cookie", cookie));
        }
        request
    }

    fn add(&mut self, op: u8, parts: &mut Parts<'_>) {
        match op {
            op::PAIR => {
                let (name, value) = (parts.name(), parts.value());
                let mode = parts.byte();
                let pair = format!("{}={}", escaped(&name, mode), escaped(&value, mode));
                self.add_query(&pair);
                self.pairs.push((name, value));
            }
            op::QUERY => {
                let bytes = parts.bytes().into_iter();
                let visible = bytes.map(|byte| match byte {
                    b'#' => '&',
                    byte if byte.is_ascii_graphic() => char::from(byte),
                    byte => char::from(b'!' + byte % 2),
                });
                let text: String = visible.collect();
                self.add_query(&text);
                self.has_raw_query = true;
            }
            op::BEARER => {
                let form = parts.number();
                let token = tokens::text(parts.number());
                let field = match form % 8 {
                    0..3 => format!("Bearer {token}"),
                    3 => format!("bEARER  {token}"),
                    4 => format!("Basic {token}"),
                    5 => "Bearer".to_owned(),
                    6 => format!("Bearer {token} x"),
                    _ => format!("Bearer{token}"),
                };
                self.fields.push(("Authorization", field.into_bytes()));
            }
            op::COOKIE => {
                let form = parts.number();
                let token = tokens::text(parts.number());
                let pair = match form % 8 {
                    0 | 1 => format!("{DEPLOYED_COOKIE}={token}"),
                    2 => format!("{STANDARD_COOKIE}={token}"),
                    3 => format!("x{DEPLOYED_COOKIE}={token}"),
                    4 => format!("{DEPLOYED_COOKIE}=\"{token}\""),
                    5 => format!("{DEPLOYED_COOKIE}="),
                    6 => format!("{}={token}", DEPLOYED_COOKIE.to_lowercase()),
                    _ => "other=1".to_owned(),
                };
                let between = if self.cookie.is_empty() { "" } else { "; " };
                self.cookie = format!("{}{between}{pair}", self.cookie);
            }
            op::ORIGIN | op::REFERER => {
                let name = if op == op::ORIGIN {
                    "Origin"
                } else {
                    "Referer"
                };
                let url = URLS[parts.number() % URLS.len()];
                self.fields.push((name, url.as_bytes().to_vec()));
            }
            op::LAST_ID => {
                let value = parts.value().into_bytes();
                self.fields.push(("Last-Event-ID", field_value(value)));
            }
            op::FIELD => {
                const NAMES: [&str; 3] = ["Origin", "Last-Event-ID", "Authorization"];
                let name = NAMES[parts.number() % NAMES.len()];
                let value = field_value(parts.bytes());
                self.fields.push((name, value));
            }
            _ => self.topics.push(TOPICS[parts.number() % TOPICS.len()]),
        }
    }

    fn add_query(&mut self, part: &str) {
        let between = if self.query.is_empty() { "" } else { "&" };
        self.query = format!("{}{between}{part}", self.query);
    }

    /// The fields of the query, if each was escaped by itself.
    pub(super) fn pairs(&self) -> Option<&[(String, String)]> {
        (!self.has_raw_query).then_some(&self.pairs)
    }

    /// The first field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        let found = self.fields.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// Whether it may name a URL pattern. The crate for those panics for some texts where overflows
    /// are checked, and libFuzzer does not let the hub catch it.
    pub(super) fn has_pattern(&self) -> bool {
        super::reader::pairs(&self.query)
            .iter()
            .any(|(name, _)| name.as_deref() == Some("match_urlpattern"))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let between = if self.query.is_empty() { "" } else { "?" };
        let line = format!(
            "{} {}{between}{} HTTP/1.1\r\n",
            self.method, self.path, self.query
        );
        let mut bytes = line.into_bytes();
        bytes.extend_from_slice(b"Host: x\r\n");
        for (name, value) in &self.fields {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        let topics = self.topics.iter();
        let topics: Vec<_> = topics
            .map(|topic| format!("topic={}", escaped(topic, 1)))
            .collect();
        bytes.extend_from_slice(body(&topics.join("&")).as_bytes());
        bytes
    }
}

/// A publication with a token in its head.
pub(super) fn post(token: &str, form: &str) -> String {
    let end = body(form);
    format!("POST {HUB} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{end}")
}

/// The end of a head, and a form.
fn body(form: &str) -> String {
    let length = form.len();
    format!(
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    )
}

/// What may stand in a field: no control bytes, and no white space at its ends.
fn field_value(bytes: Vec<u8>) -> Vec<u8> {
    let bytes: Vec<u8> = bytes
        .into_iter()
        .map(|byte| {
            if byte < b' ' || byte == 0x7f {
                b'x'
            } else {
                byte
            }
        })
        .collect();
    bytes.trim_ascii().to_vec()
}

/// Text for a query: escaped where it has to be, or everywhere.
fn escaped(text: &str, mode: u8) -> String {
    let mut escaped = String::new();
    for (at, byte) in text.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~/*:".contains(&byte);
        match (mode % 4, byte) {
            (0 | 1, b' ') => escaped.push('+'),
            (0, _) if is_plain => escaped.push(char::from(byte)),
            (2, _) if is_plain && at % 2 == 0 => escaped.push(char::from(byte)),
            (3, _) => escaped += &format!("%{byte:02x}"),
            _ => escaped += &format!("%{byte:02X}"),
        }
    }
    escaped
}
