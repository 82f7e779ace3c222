//! What a hub makes of requests: the target, the query, where the token is, and whose pages may
//! read the answer, beside a second reader of each.
//!
//! The first two bytes choose the hub and the method, the others are parts of a request.

mod reader;
mod request;
mod tokens;
mod words;

use std::cell::LazyCell;

use fuzz_server::{Options, Peer, Server};
use hub_protocol::Forms;

use reader::{Answer, Cors, Rules};
use request::{AT_THE_HUB, Request};
use tokens::{Rights, SECRET};

pub(crate) const WORDS: &[&[u8]] = words::WORDS;

/// Inputs that ask every hub for what competes, as a subscriber and as a publisher.
pub(crate) fn cases() -> Vec<Vec<u8>> {
    let hubs = HUBS.with(|hubs| hubs.options.len());
    let hubs = 0..u8::try_from(hubs).unwrap_or(u8::MAX);
    let choices = hubs.flat_map(|hub| [[hub, AT_THE_HUB], [hub, AT_THE_HUB + 1]]);
    let cases = choices.flat_map(|choice| {
        words::CASES
            .iter()
            .map(move |case| [&choice, *case].concat())
    });
    cases.collect()
}

/// The longest input, and the longest head that fits any limit.
const INPUT_MAX: usize = 2048;
const HEAD_MAX: usize = 8000;

/// A head with more than 100 fields is refused; this leaves room for those that are always there.
const FIELDS_MAX: usize = 90;

/// More than any answer needs.
const ANSWER_MAX: usize = 64 << 10;

pub(super) const ORIGINS: [&str; 2] = ["https://a.example", "https://b.example:8443"];

/// What subscribers may ask for, and what is published to them.
pub(super) const TOPICS: [&str; 7] = ["a", "b", "a b", "a+b", "a%20b", "\u{e9}", "A"];

/// Ids of the updates that the hub has when the request comes.
pub(super) const HISTORY: [&str; 3] = ["first", "second", "third id"];

/// Hubs that differ in what they accept.
struct Hubs {
    options: Vec<(Options, Rules)>,
}

thread_local! {
    static HUBS: LazyCell<Hubs> = LazyCell::new(Hubs::new);
}

impl Hubs {
    fn new() -> Self {
        let mut options = Vec::new();
        let named = ORIGINS.map(|origin| format!("--cors-origin={origin}"));
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        for (protocol, deployed, standard) in [
            ("both", true, true),
            ("deployed", true, false),
            ("standard", false, true),
        ] {
            for (cors, origins) in [
                (Cors::Nobody, &[][..]),
                (Cors::Named, &named),
                (Cors::Every, &["--cors-origin=*"]),
            ] {
                for is_open in [false, true] {
                    let keys = ["--publisher-key", SECRET, "--subscriber-key", SECRET];
                    let anonymous: &[&str] = if is_open { &["--anonymous"] } else { &[] };
                    let protocol = ["--protocol", protocol];
                    let rules = Rules {
                        forms: Forms { deployed, standard },
                        cors,
                        is_open,
                    };
                    let arguments = [&keys[..], &protocol, anonymous, origins].concat();
                    options.push((Options::hub(&arguments), rules));
                }
            }
        }
        Self { options }
    }
}

/// A peer that publishes with every right, over one connection.
struct Publisher<'a> {
    server: &'a Server,
    peer: Peer,
    token: &'static str,
}

impl<'a> Publisher<'a> {
    fn new(server: &'a Server, forms: Forms) -> Self {
        Self {
            server,
            peer: server.connect(),
            token: tokens::of(Rights::Everything, forms),
        }
    }

    /// Publishes updates one after the other, and reads the answers.
    fn publish(&self, updates: &[(&str, String, bool)]) {
        let escape =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02x}")).collect() };
        for (topic, id, is_private) in updates {
            let private = if *is_private { "&private=on" } else { "" };
            let body = format!("topic={}&id={}&data=x{private}", escape(topic), escape(id));
            self.peer.send(request::post(self.token, &body).as_bytes());
        }
        self.server.turn();
        let mut answers = Vec::new();
        assert!(!self.peer.receive(&mut answers), "the connection is kept");
        let answers = String::from_utf8_lossy(&answers);
        let mut rest = answers.split("HTTP/1.1 ").skip(1);
        for (_, id, _) in updates {
            let answer = rest.next().unwrap_or_default();
            let is_accepted = answer.starts_with("200 ") && answer.ends_with(id.as_str());
            assert!(is_accepted, "{id}: {answers}");
        }
        assert_eq!(rest.next(), None);
    }
}

/// An event as subscribers get it.
fn event(id: &str) -> String {
    format!("id: {id}\ndata: x\n\n")
}

fn ask(server: &Server, request: &Request, rules: &Rules) {
    let wanted = reader::answer(request, rules);
    let is_refused = wanted.as_ref().is_some_and(|wanted| wanted.status != 200);
    let publisher = Publisher::new(server, rules.forms);
    if !is_refused {
        // Nobody whom the hub refuses gets to see any of it.
        publisher.publish(&HISTORY.map(|id| ("a", id.to_owned(), false)));
    }
    let peer = server.connect();
    let bytes = request.bytes();
    peer.send(&bytes);
    server.turn();
    let mut got = Vec::new();
    let has_end = peer.receive(&mut got);
    let shown = || format!("{} gave {}", bytes.escape_ascii(), got.escape_ascii());
    let Some(wanted) = wanted else {
        return; // whether it is accepted depends on what other targets look at
    };
    assert!(!has_end, "{}", shown());
    check_head(&got, &wanted, &shown);
    if let Some(subscription) = &wanted.subscription {
        let mut updates = Vec::new();
        for (number, topic) in TOPICS.iter().enumerate() {
            for is_private in [false, true] {
                updates.push((*topic, format!("{number}-{is_private}"), is_private));
            }
        }
        publisher.publish(&updates);
        let replayed = subscription.replayed.iter();
        let replayed = replayed.map(|id| ("a", (*id).to_owned(), false));
        let events: String = replayed
            .chain(updates)
            .filter(|(topic, _, is_private)| subscription.selects(topic, *is_private))
            .map(|(_, id, _)| event(&id))
            .collect();
        let mut got = got.clone();
        assert!(!peer.receive(&mut got), "{}", shown());
        let end = got.windows(4).position(|part| part == b"\r\n\r\n");
        let body = &got[end.expect("the end of the head") + 4..];
        assert_eq!(String::from_utf8_lossy(body), events, "{}", shown());
    }
    assert!(got.len() < ANSWER_MAX);
}

/// Compares the head of an answer with what it has to be.
fn check_head(got: &[u8], wanted: &Answer, shown: &dyn Fn() -> String) {
    let end = got.windows(4).position(|part| part == b"\r\n\r\n");
    let head = &got[..end.unwrap_or_else(|| panic!("no head: {}", shown()))];
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = format!("HTTP/1.1 {} ", wanted.status);
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with(status.as_bytes()), "{status}: {}", shown());
    let fields: Vec<(&[u8], &[u8])> = lines
        .map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let colon = line.windows(2).position(|part| part == b": ");
            let colon = colon.unwrap_or_else(|| panic!("no field: {}", shown()));
            (&line[..colon], &line[colon + 2..])
        })
        .collect();
    for (name, value) in &wanted.fields {
        let found: Vec<&[u8]> = fields
            .iter()
            .filter(|(other, _)| other == &name.as_bytes())
            .map(|(_, value)| *value)
            .collect();
        let wanted: Vec<&[u8]> = value.iter().map(String::as_bytes).collect();
        assert_eq!(found, wanted, "{name}: {}", shown());
    }
}

/// What was escaped for a query is read again.
fn check_escapes(request: &Request) {
    if let Some(pairs) = request.pairs() {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (Some(name.clone()), Some(value.clone())));
        assert!(
            reader::pairs(&request.query).into_iter().eq(pairs),
            "{}",
            request.query
        );
    }
}

pub(crate) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    if input.len() > INPUT_MAX {
        return;
    }
    HUBS.with(|hubs| {
        let (options, rules) = &hubs.options[usize::from(choice[0]) % hubs.options.len()];
        let request = Request::read(choice[1], rest);
        let is_too_long = request.bytes().len() > HEAD_MAX || request.fields.len() > FIELDS_MAX;
        if is_too_long || request.has_pattern() {
            return;
        }
        check_escapes(&request);
        let server = Server::new(options);
        ask(&server, &request, rules);
        server.turn();
        assert_eq!(server.open_connections(), 0);
        assert_eq!(server.panics(), 0);
    });
}
