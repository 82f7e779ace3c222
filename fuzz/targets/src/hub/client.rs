//! A client: what it has got, read and compared with what it has to get.

use std::collections::VecDeque;
use std::rc::Rc;

use fuzz_server::Peer;
use memchr::memmem;
use serde_json::{Value, json};

use super::action::Action;
use super::choices::HUB;
use super::event::Active;
use super::model::{Anchor, Conn, Listed, Mode, Wanted};
use crate::client::Client as EventSource;
use crate::websockets::server_frame;

/// A client, and what it has not sent yet.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: Peer,
    /// Bytes that are not sent yet, and where in them each part of an action ends.
    pub(super) unsent: Vec<u8>,
    pub(super) ends: VecDeque<(usize, Action)>,
    /// Whether it does not read.
    pub(super) holds: bool,
    /// Whether it stops reading when it has asked to subscribe.
    pub(super) will_hold: bool,
    pub(super) got: Vec<u8>,
    pub(super) has_end: bool,
    /// What it reads: answers, events, or messages.
    reads: Mode,
    /// Why the hub has ended it.
    pub(super) end: Option<End>,
    /// The id of the last event, as an `EventSource` keeps it.
    pub(super) last_id: Option<String>,
}

/// Why the hub ends a connection by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// More waits for the client than may.
    Lag,
    /// Its next update is no longer kept.
    Gap,
}

/// An answer.
struct Answer<'a> {
    status: u16,
    fields: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl Answer<'_> {
    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(other, _)| *other == name);
        let field = found.next().map(|(_, value)| *value);
        assert!(found.next().is_none(), "one field {name}");
        field
    }
}

/// Reads an answer off the front of `got`, and returns how long it is; `None` if it is not
/// complete.
fn answer(got: &[u8], is_head: bool) -> Option<(Answer<'_>, usize)> {
    let end = memmem::find(got, b"\r\n\r\n")?;
    let head = str::from_utf8(&got[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status = status.and_then(|line| line.get(..3)?.parse().ok());
    let fields = lines.map(|line| line.split_once(": ").expect("a field"));
    let mut answer = Answer {
        status: status.unwrap_or_else(|| panic!("a status line: {head}")),
        fields: fields.collect(),
        body: b"",
    };
    let length = answer.field("Content-Length").filter(|_| !is_head);
    let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
    answer.body = got.get(end + 4..end + 4 + length)?;
    Some((answer, end + 4 + length))
}

/// Whether the next frame answers a frame: it may come before the rest of the history.
fn is_reply(got: &[u8]) -> bool {
    server_frame(got).is_some_and(|(first, payload, _)| {
        let message = serde_json::from_slice::<Value>(payload);
        first != 0x81 || message.is_ok_and(|message| message["id"].is_null())
    })
}

impl Client {
    pub(super) fn new(peer: Peer) -> Self {
        Self {
            peer,
            unsent: Vec::new(),
            ends: VecDeque::new(),
            holds: false,
            will_hold: false,
            got: Vec::new(),
            has_end: false,
            reads: Mode::Http,
            end: None,
            last_id: None,
        }
    }

    /// It will send this.
    pub(super) fn will_send(&mut self, action: Action, is_socket: bool) {
        for part in action.parts() {
            self.unsent.extend(part.bytes(is_socket));
            self.ends.push_back((self.unsent.len(), part));
        }
    }

    /// Takes what there is, as far as it is complete, and compares it with what it has to be.
    pub(super) fn read(&mut self, conn: &mut Conn) {
        let got = std::mem::take(&mut self.got);
        let mut rest = got.as_slice();
        while let Some(next) = conn.wanted.front() {
            if let (Wanted::End, true) = (next, rest.is_empty() && self.has_end) {
                conn.wanted.pop_front();
                break;
            }
            let is_socket = self.reads == Mode::Socket;
            let number = match is_socket && conn.replays && is_reply(rest) {
                true => conn.wanted.iter().position(|one| !one.is_event()),
                false => Some(0),
            };
            let next = number.and_then(|number| conn.wanted.get(number));
            let Some(used) = next.and_then(|next| self.take(rest, next)) else {
                break;
            };
            rest = &rest[used..];
            match number.and_then(|number| conn.wanted.remove(number)) {
                Some(Wanted::Event(event)) => conn.next = event.place + 1,
                // The rest of the history is not sent.
                Some(Wanted::Close(_)) => conn.wanted.retain(|one| !one.is_event()),
                _ => {}
            }
        }
        self.got = rest.to_vec();
    }

    /// Checks that it has what it has to get, and no more.
    pub(super) fn check(&mut self, conn: &mut Conn) {
        self.read(conn);
        let shown = || self.got[..self.got.len().min(300)].escape_ascii();
        match self.end {
            None => {
                let missing = conn.wanted.front();
                assert!(missing.is_none(), "{missing:?} is missing at {}", shown());
                assert!(self.got.is_empty(), "{} is too much", shown());
                conn.replays = false;
                return;
            }
            // It got the start of something.
            Some(End::Lag) => assert!(self.got.is_empty() || !conn.wanted.is_empty()),
            Some(End::Gap) => self.check_gap(),
        }
        assert!(self.has_end, "the end");
        self.got.clear();
        conn.wanted.clear();
        self.end = Some(End::Lag); // nothing more comes
    }

    /// A stream whose next update is no longer kept ends, and a WebSocket is told why.
    fn check_gap(&self) {
        let code = 1012_u16.to_be_bytes();
        match server_frame(&self.got) {
            Some((0x88, payload, length)) if self.reads == Mode::Socket => {
                assert_eq!(payload.first_chunk(), Some(&code));
                assert_eq!(length, self.got.len());
            }
            _ => assert!(self.got.is_empty() && self.reads == Mode::Stream),
        }
    }

    /// The hub has ended the connection, though the client did not.
    pub(super) fn note_end(&mut self, conn: &mut Conn, first_kept: usize, max_queue: usize) {
        let most: usize = conn.wanted.iter().map(|wanted| wanted.sizes().1).sum();
        self.end = Some(End::Lag);
        if most <= max_queue {
            self.has_end |= self.peer.receive(&mut self.got);
            self.read(conn);
            assert!(first_kept > conn.next, "it does not lag: {conn:?}");
            self.end = Some(End::Gap);
        }
    }

    /// Takes what has to be next off the front of `got`, and returns how long it is; `None` if it
    /// is not complete.
    fn take(&mut self, got: &[u8], wanted: &Wanted) -> Option<usize> {
        match wanted {
            Wanted::Answer(status, is_head) => {
                let (answer, used) = answer(got, *is_head)?;
                assert_eq!(answer.status, *status, "{}", got[..used].escape_ascii());
                Some(used)
            }
            Wanted::Stored(event) => {
                let (answer, used) = answer(got, false)?;
                assert_eq!(answer.status, 200, "{}", got[..used].escape_ascii());
                event.id.check(str::from_utf8(answer.body).expect("an id"));
                Some(used)
            }
            Wanted::Listed(listed) => {
                let (answer, used) = answer(got, false)?;
                assert_eq!(answer.status, 200, "{}", got[..used].escape_ascii());
                check_list(&answer, listed);
                Some(used)
            }
            Wanted::Stream(anchor) => {
                let (answer, used) = answer(got, false)?;
                assert_eq!(answer.status, 200, "{}", got[..used].escape_ascii());
                assert_eq!(answer.field("Content-Type"), Some("text/event-stream"));
                check_anchor(&answer, anchor);
                self.reads = Mode::Stream;
                Some(used)
            }
            Wanted::Switch => {
                let (answer, used) = answer(got, true)?;
                assert_eq!(answer.status, 101, "{}", got[..used].escape_ascii());
                let accept = answer.field("Sec-WebSocket-Accept");
                assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
                self.reads = Mode::Socket;
                Some(used)
            }
            Wanted::Event(event) if self.reads == Mode::Stream => {
                let end = memmem::find(got, b"\n\n")? + 2;
                let source = EventSource::read(&got[..end]);
                let [dispatched] = &source.dispatched[..] else {
                    panic!("one event: {}", got[..end].escape_ascii());
                };
                event.check_dispatched(dispatched, source.retry);
                self.last_id = Some(source.last_event_id);
                Some(end)
            }
            _ => self.take_frame(got, wanted),
        }
    }

    fn take_frame(&mut self, got: &[u8], wanted: &Wanted) -> Option<usize> {
        assert!(
            self.reads == Mode::Socket || got.is_empty(),
            "{} instead of {wanted:?}",
            got.escape_ascii()
        );
        let (first, payload, used) = server_frame(got)?;
        if first == 0x88 && !matches!(wanted, Wanted::Close(_)) {
            return None; // whoever looks at the end says whether it may come
        }
        let json = || -> Value {
            assert_eq!(first, 0x81, "a text: {}", got[..used].escape_ascii());
            serde_json::from_slice(payload).expect("JSON")
        };
        match wanted {
            Wanted::Event(event) => {
                event.check_message(&json());
                self.last_id = event.id.known().map(str::to_owned);
            }
            Wanted::Published(event) => {
                let got = json();
                event.id.check(got["published"].as_str().expect("an id"));
                assert_eq!(got, json!({ "published": event.id.known() }));
            }
            Wanted::Refused(status) => {
                let got = json();
                assert_eq!(got["refused"], json!(status), "{got}");
                assert!(got["reason"].is_string(), "{got}");
            }
            Wanted::Pong(wanted) => assert_eq!((first, payload), (0x8a, *wanted)),
            Wanted::Close(code) => {
                let code = code.map(u16::to_be_bytes);
                assert_eq!(first, 0x88, "a close frame: {}", got[..used].escape_ascii());
                assert_eq!(payload.first_chunk().copied(), code);
            }
            _ => panic!("{} instead of {wanted:?}", got.escape_ascii()),
        }
        Some(used)
    }
}

/// Checks what the head of an event stream says of where it begins.
fn check_anchor(answer: &Answer<'_>, anchor: &Anchor) {
    let fields = ["Last-Event-ID", "Mercure-Last-Event-ID"].map(|name| answer.field(name));
    let Anchor::Behind(event, forms) = anchor else {
        return assert_eq!(fields, [None, None]);
    };
    for (field, is_asked) in fields.into_iter().zip([forms.deployed, forms.standard]) {
        assert_eq!(field.is_some(), is_asked, "a field for each form");
        match (field, event) {
            (Some(field), Some(event)) => event.id.check(field),
            (Some(field), None) => assert_eq!(field, "earliest"),
            (None, _) => {}
        }
    }
}

/// Checks the answer to a request for subscriptions.
fn check_list(answer: &Answer<'_>, listed: &Listed) {
    let mut got: Value = serde_json::from_slice(answer.body).expect("JSON");
    let link = answer.field("Link").expect("a field");
    let start = format!("<{HUB}>; rel=\"mercure\"; last-event-id=\"");
    let last = link.strip_prefix(&start);
    let last = last.and_then(|last| last.split('"').next());
    let last = last.unwrap_or_else(|| panic!("{link}"));
    match &listed.last {
        Some(event) => event.id.check(last),
        None => assert_eq!(last, "earliest"),
    }
    if listed.is_deployed {
        assert_eq!(got["lastEventID"], json!(last));
        got.as_object_mut()
            .map(|members| members.remove("lastEventID"));
    }
    if listed.is_one {
        return listed.active[0].check(&got, true, true);
    }
    let (context, kind) = match listed.is_deployed {
        true => (json!("https://mercure.rocks/"), "Subscriptions"),
        false => (Value::Null, "subscriptions"),
    };
    assert_eq!((&got["@context"], &got["type"]), (&context, &json!(kind)));
    assert_eq!(got["id"], json!(listed.path));
    check_all(got["subscriptions"].as_array().expect("a list"), listed);
}

/// Checks a list, which is in the order of ids. Whose subscription it is can't be told where the ids
/// of several that are alike are not known yet.
fn check_all(got: &[Value], listed: &Listed) {
    let is_known = |active: &&Rc<Active>| active.subscriber.known().is_some();
    let (known, mut unknown): (Vec<_>, Vec<_>) = listed.active.iter().partition(is_known);
    let mut rest: Vec<&Value> = got.iter().collect();
    for active in known {
        let found = rest.iter().position(|one| active.is_described(one));
        let found = found.unwrap_or_else(|| panic!("{active:?} is missing"));
        active.check(rest.remove(found), true, false);
    }
    let mut sure = Vec::new();
    for one in rest {
        let found = unknown.iter().position(|active| active.is_described(one));
        let active = unknown.remove(found.unwrap_or_else(|| panic!("{one} is too much")));
        if !listed.has_alike(active) {
            sure.push((active, one));
        }
    }
    assert!(unknown.is_empty(), "{unknown:?} is missing");
    for (active, one) in sure {
        active.check(one, true, false);
    }
}
