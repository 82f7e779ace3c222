//! A second reader of requests, which says what the hub has to answer.

use hub_protocol::Forms;

use super::request::{DEPLOYED_COOKIE, HUB, Request, STANDARD_COOKIE, URLS};
use super::tokens::{self, Rights};
use super::{HISTORY, ORIGINS};

/// The most matchers of one request, and the longest.
const MATCHERS_MAX: usize = 100;
const MATCHER_MAX: usize = 2048;

/// The most topics of one publication.
const TOPICS_MAX: usize = 100;

/// Whose pages may read answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cors {
    Nobody,
    /// Those of [`ORIGINS`].
    Named,
    Every,
}

/// What a hub accepts.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) forms: Forms,
    pub(super) cors: Cors,
    pub(super) is_open: bool,
}

/// What a hub has to answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Fields with their values, or with none.
    pub(super) fields: Vec<(&'static str, Option<String>)>,
    pub(super) subscription: Option<Subscription>,
}

/// What a subscriber receives.
#[derive(Debug)]
pub(super) struct Subscription {
    topics: Vec<String>, // or `*`
    rights: Option<Rights>,
    pub(super) replayed: Vec<&'static str>,
}

impl Subscription {
    pub(super) fn selects(&self, topic: &str, is_private: bool) -> bool {
        let mut topics = self.topics.iter();
        let is_asked_for = topics.any(|asked| asked == "*" || asked == topic);
        is_asked_for && (!is_private || self.rights.is_some_and(|rights| rights.allow(topic)))
    }
}

/// A token in a request, or why there is none.
enum Presented<'a> {
    Nothing,
    Token(&'a str),
    Refused(u16),
    /// Whose page it is depends on how URLs are read.
    Unknown,
}

/// What a query asks for.
#[derive(Debug, Default)]
struct Asked {
    topics: Vec<String>,
    deployed: bool,
    standard: bool,
    last_id: Option<String>,
}

/// A query is refused, or has matchers whose syntax others look at.
enum NotRead {
    Refused,
    Unknown,
}

/// What the hub has to answer; `None` if that depends on the syntax of a matcher.
pub(super) fn answer(request: &Request, rules: &Rules) -> Option<Answer> {
    let (status, subscription, mut fields) = outcome(request, rules)?;
    let origin = request
        .field("Origin")
        .and_then(|origin| str::from_utf8(origin).ok());
    let reader = origin.and_then(|origin| match rules.cors {
        Cors::Nobody => None,
        Cors::Named => ORIGINS.contains(&origin).then(|| origin.to_owned()),
        Cors::Every => Some("*".to_owned()),
    });
    let is_named = rules.cors == Cors::Named;
    let credentials = (is_named && reader.is_some()).then(|| "true".to_owned());
    let methods = request.method == "OPTIONS" && status == 204 && reader.is_some();
    fields.extend([
        ("Access-Control-Allow-Credentials", credentials),
        ("Access-Control-Allow-Origin", reader),
        ("Vary", is_named.then(|| "Origin".to_owned())),
        (
            "Access-Control-Allow-Methods",
            methods.then(|| "GET, HEAD, POST".to_owned()),
        ),
    ]);
    Some(Answer {
        status,
        fields,
        subscription,
    })
}

type Outcome = (
    u16,
    Option<Subscription>,
    Vec<(&'static str, Option<String>)>,
);

fn outcome(request: &Request, rules: &Rules) -> Option<Outcome> {
    let plain = |status| Some((status, None, Vec::new()));
    let is_read = matches!(request.method, "GET" | "HEAD");
    match path(request.path) {
        "/healthz" if is_read => return plain(200),
        "/healthz" => return plain(405),
        HUB => {}
        _ => return plain(404),
    }
    match request.method {
        "GET" | "HEAD" => subscribe(request, rules),
        "POST" => publish(request, rules).and_then(plain),
        "OPTIONS" => plain(204),
        _ => plain(405),
    }
}

/// The path of a target, which may be a URL.
fn path(target: &str) -> &str {
    let after_scheme = ["http://", "HTTPS://"]
        .iter()
        .find_map(|scheme| target.strip_prefix(scheme));
    match after_scheme {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    }
}

fn subscribe(request: &Request, rules: &Rules) -> Option<Outcome> {
    let plain = |status| Some((status, None, Vec::new()));
    let query = authorization(request).filter(|_| rules.forms.deployed);
    let rights = match presented(request, query.as_deref(), rules, false) {
        Presented::Unknown => return None,
        Presented::Refused(status) => return plain(status),
        Presented::Nothing if rules.is_open => None,
        Presented::Nothing => return plain(401),
        Presented::Token(token) => match tokens::rights(token, rules.forms) {
            Some(rights) => Some(rights),
            None => return plain(401),
        },
    };
    let asked = match asked(request, rules.forms) {
        Ok(asked) => asked,
        Err(NotRead::Refused) => return plain(400),
        Err(NotRead::Unknown) => return None,
    };
    if request.method == "HEAD" {
        return plain(200);
    }
    let known = |id: &String| HISTORY.iter().position(|one| one == id);
    let begin = asked
        .last_id
        .as_ref()
        .map(|id| known(id).map_or(0, |at| at + 1));
    let replayed = begin.map_or(&[][..], |begin| &HISTORY[begin..]);
    let anchor = begin.map(|begin| match begin {
        0 => "earliest".to_owned(),
        begin => HISTORY[begin - 1].to_owned(),
    });
    let fields = vec![
        ("Last-Event-ID", anchor.clone().filter(|_| asked.deployed)),
        ("Mercure-Last-Event-ID", anchor.filter(|_| asked.standard)),
    ];
    let subscription = Subscription {
        topics: asked.topics,
        rights,
        replayed: replayed.to_vec(),
    };
    Some((200, Some(subscription), fields))
}

/// The status for a publisher.
fn publish(request: &Request, rules: &Rules) -> Option<u16> {
    let token = match presented(request, None, rules, true) {
        Presented::Unknown => return None,
        Presented::Refused(status) => return Some(status),
        Presented::Nothing => return Some(401),
        Presented::Token(token) => token,
    };
    let Some(rights) = tokens::rights(token, rules.forms) else {
        return Some(401);
    };
    let is_allowed = request.topics.iter().all(|topic| rights.allow(topic));
    Some(match request.topics.len() {
        0 => 400,
        1..=TOPICS_MAX if is_allowed => 200,
        1..=TOPICS_MAX => 403,
        _ => 413,
    })
}

/// Where the token is: in the field, else in the query, else in a cookie, which may need a trusted
/// page.
fn presented<'a>(
    request: &'a Request,
    query: Option<&'a str>,
    rules: &Rules,
    needs_trust: bool,
) -> Presented<'a> {
    if let Some(field) = request.field("Authorization") {
        let words = str::from_utf8(field).map(|field| field.split(' '));
        let words: Vec<&str> = words
            .into_iter()
            .flatten()
            .filter(|word| !word.is_empty())
            .collect();
        return match words.as_slice() {
            [scheme, token] if scheme.eq_ignore_ascii_case("Bearer") => Presented::Token(token),
            _ => Presented::Refused(400),
        };
    }
    if let Some(token) = query {
        return Presented::Token(token);
    }
    let Some(token) = cookie(request, rules.forms) else {
        return Presented::Nothing;
    };
    if !needs_trust {
        return Presented::Token(token);
    }
    match request.field("Origin").or(request.field("Referer")) {
        Some(url) if !URLS.iter().any(|known| known.as_bytes() == url) => Presented::Unknown,
        Some(url) if is_trusted(url, rules) => Presented::Token(token),
        Some(_) | None => Presented::Refused(403),
    }
}

fn cookie(request: &Request, forms: Forms) -> Option<&str> {
    let field = str::from_utf8(request.field("Cookie")?).ok()?;
    let named = |name: &str| {
        let pairs = field.split("; ").filter_map(|pair| pair.split_once('='));
        let values = pairs
            .filter(|(other, _)| *other == name)
            .map(|(_, value)| value.trim_matches('"'));
        values.into_iter().find(|value| !value.is_empty())
    };
    let standard = named(STANDARD_COOKIE).filter(|_| forms.standard);
    standard.or_else(|| named(DEPLOYED_COOKIE).filter(|_| forms.deployed))
}

/// Whether one of [`URLS`] is of the hub's own origin, or of a named one.
fn is_trusted(url: &[u8], rules: &Rules) -> bool {
    let Ok(url) = str::from_utf8(url) else {
        return false;
    };
    let small = url.to_ascii_lowercase();
    let Some((scheme, rest)) = small.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match scheme {
        "https" => host.strip_suffix(":443").unwrap_or(host),
        _ => host.strip_suffix(":80").unwrap_or(host),
    };
    let origin = format!("{scheme}://{host}");
    let is_named = rules.cors == Cors::Named && ORIGINS.contains(&origin.as_str());
    is_named || origin == "http://localhost"
}

/// The first token in the query.
fn authorization(request: &Request) -> Option<String> {
    let mut pairs = pairs(&request.query).into_iter();
    pairs.find_map(|pair| match pair {
        (Some(name), Some(value)) if name == "authorization" => Some(value),
        _ => None,
    })
}

fn asked(request: &Request, forms: Forms) -> Result<Asked, NotRead> {
    let mut asked = Asked::default();
    let (mut deployed_id, mut standard_id, mut count) = (None, None, 0);
    for (name, value) in pairs(&request.query) {
        let (Some(name), Some(value)) = (name, value) else {
            return Err(NotRead::Refused);
        };
        let is_matcher = match name.as_str() {
            "match" | "match_exact" if forms.standard => {
                asked.standard = true;
                true
            }
            "topic" if forms.deployed => {
                asked.deployed = true;
                if value.contains(['{', '}']) {
                    return Err(NotRead::Unknown);
                }
                true
            }
            "lastEventID" if forms.deployed => {
                deployed_id = deployed_id.or(checked_id(&value)?);
                false
            }
            "last_event_id" if forms.standard => {
                standard_id = checked_id(&value)?.or(standard_id);
                false
            }
            name if forms.standard && name.to_ascii_lowercase().starts_with("match") => {
                return Err(NotRead::Refused);
            }
            _ => false,
        };
        if is_matcher {
            count += 1;
            let is_bad = value.is_empty() || value.len() > MATCHER_MAX || !is_clean(&value);
            if is_bad || count > MATCHERS_MAX {
                return Err(NotRead::Refused);
            }
            asked.topics.push(value);
        }
    }
    asked.last_id = standard_id.or(deployed_id);
    if let Some(field) = request.field("Last-Event-ID") {
        let field = str::from_utf8(field).map_err(|_| NotRead::Refused)?;
        asked.last_id = checked_id(field)?.or(asked.last_id);
    }
    match asked.topics.is_empty() {
        true => Err(NotRead::Refused),
        false => Ok(asked),
    }
}

/// An id; `None` for an empty one.
fn checked_id(id: &str) -> Result<Option<String>, NotRead> {
    match is_clean(id) {
        true => Ok((!id.is_empty()).then(|| id.to_owned())),
        false => Err(NotRead::Refused),
    }
}

/// The fields of a query; `None` for what is not UTF-8.
pub(super) fn pairs(query: &str) -> Vec<(Option<String>, Option<String>)> {
    let fields = query.split('&').filter(|field| !field.is_empty());
    let halves = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
    halves
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let escape = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        rest = &tail[if escape.is_some() { 2 } else { 0 }..];
        bytes.push(match (escape, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, byte) => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Whether a text has neither control nor format characters (the general categories Cc and Cf).
fn is_clean(text: &str) -> bool {
    let is_format = |c: char| {
        matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
    };
    !text.chars().any(|c| c.is_control() || is_format(c))
}
