//! A publisher: one update, and what the hub says of it.

use fuzz_server::Peer;
use memchr::memmem;
use serde_json::{Value, json};
use test_support::websocket::{TEXT, frame};

use super::truth::Truth;
use crate::websockets::server_frame;

/// An update on its way.
#[derive(Debug)]
pub(super) struct Publisher {
    /// `None` when it was killed.
    pub(super) hub: Option<usize>,
    id: String,
    /// How often the hub had turned when it was sent.
    turn: usize,
    /// When it was sent, in milliseconds.
    pub(super) since: u64,
    /// Whether the hub has no reason left not to keep it.
    pub(super) has_to_be_kept: bool,
    way: Way,
    peer: Option<Peer>,
    got: Vec<u8>,
    answer: Option<Answer>,
}

/// How an update reaches the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Post,
    /// Over a WebSocket of its own, which subscribes to something else.
    Socket,
}

/// What a hub says of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Kept,
    NotKept,
    /// The hub can't know, or is gone.
    Unsure,
}

impl Publisher {
    pub(super) fn new(
        hub: usize,
        (turn, since): (usize, u64),
        (id, topic, data): (String, &str, &str),
        (way, peer, token): (Way, Peer, &str),
    ) -> Self {
        let request = match way {
            Way::Post => post(token, &format!("topic={topic}&id={id}&data={data}")),
            Way::Socket => message(token, &json!({ "topics": [topic], "id": id, "data": data })),
        };
        peer.send(&request);
        Self {
            way,
            hub: Some(hub),
            id,
            turn,
            since,
            has_to_be_kept: false,
            peer: Some(peer),
            got: Vec::new(),
            answer: None,
        }
    }

    pub(super) fn waits(&self) -> bool {
        self.peer.is_some()
    }

    pub(super) fn waits_at(&self, hub: usize) -> bool {
        self.waits() && self.hub == Some(hub)
    }

    /// Reads the answer, and checks it. False if nothing has come.
    pub(super) fn read(&mut self, truth: &Truth) -> bool {
        let Some(peer) = &self.peer else { return false };
        let before = self.got.len();
        let has_end = peer.receive(&mut self.got);
        self.answer = match self.way {
            Way::Post => self.reply(),
            Way::Socket => self.reply_to_message(),
        };
        if self.answer.is_some() {
            self.peer = None;
            self.check(truth);
            return true;
        }
        if has_end {
            // What a WebSocket gets before its answer is the opening.
            assert!(
                self.got.is_empty() || self.way == Way::Socket,
                "half an answer"
            );
            self.answer = Some(Answer::Unsure);
            self.peer = None;
        }
        has_end || self.got.len() > before
    }

    /// The answer to a request, if it is complete.
    fn reply(&self) -> Option<Answer> {
        let end = memmem::find(&self.got, b"\r\n\r\n")?;
        let head = str::from_utf8(&self.got[..end]).expect("text");
        let fields = head.lines().filter_map(|line| line.split_once(": "));
        let length = fields.filter(|(name, _)| *name == "Content-Length");
        let length: usize = length
            .map(|(_, value)| value.parse::<usize>().expect("a length"))
            .sum();
        let body = self.got.get(end + 4..end + 4 + length)?;
        let body = str::from_utf8(body).expect("text");
        Some(match head.starts_with("HTTP/1.1 200 ") {
            true => self.published(body),
            false => refused(body.strip_suffix('\n').expect("a line")),
        })
    }

    /// The answer to a message, if it is complete.
    fn reply_to_message(&self) -> Option<Answer> {
        let end = memmem::find(&self.got, b"\r\n\r\n")?;
        let head = str::from_utf8(&self.got[..end]).expect("text");
        if !head.starts_with("HTTP/1.1 101 ") {
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
            return Some(Answer::NotKept);
        }
        let (first, payload, _) = server_frame(&self.got[end + 4..])?;
        assert_eq!(first, 0x81, "a message, not the end: {self:?}");
        let message: Value = serde_json::from_slice(payload).expect("JSON");
        if let Some(id) = message["published"].as_str() {
            return Some(self.published(id));
        }
        Some(match message["reason"].as_str().expect("a reason") {
            "the hub is stopping" => Answer::NotKept,
            reason => refused(reason),
        })
    }

    fn published(&self, id: &str) -> Answer {
        assert_eq!(id, self.id);
        Answer::Kept
    }

    /// Checks that the store has what the answer says.
    pub(super) fn check(&self, truth: &Truth) {
        let all = truth.with_id(&self.id).count();
        let kept = truth.with_id(&self.id).filter(|(_, kept)| !kept.is_lost);
        assert!(kept.count() <= 1, "it is kept twice: {self:?}");
        assert!(
            !self.has_to_be_kept || self.answer == Some(Answer::Kept),
            "{self:?}"
        );
        match self.answer {
            Some(Answer::Kept) => assert!(all > 0, "it is not kept: {self:?}"),
            Some(Answer::NotKept) => assert_eq!(all, 0, "it is kept: {self:?}"),
            Some(Answer::Unsure) | None => {}
        }
    }

    /// Where its update is, and when it was sent.
    pub(super) fn place(&self, truth: &Truth) -> Option<(usize, usize)> {
        let mut kept = truth.with_id(&self.id).filter(|(_, kept)| !kept.is_lost);
        Some((self.turn, kept.next()?.0))
    }
}

fn post(token: &str, form: &str) -> Vec<u8> {
    let length = form.len();
    let request = format!(
        "POST /.well-known/mercure HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}",
    );
    request.into_bytes()
}

/// What opens a WebSocket, and a message.
fn message(token: &str, update: &Value) -> Vec<u8> {
    let opening = format!(
        "GET /.well-known/mercure?topic=nothing HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    );
    let mut bytes = opening.into_bytes();
    bytes.extend(frame(TEXT, update.to_string()).bytes());
    bytes
}

/// What a hub says of an update that it does not confirm.
fn refused(reason: &str) -> Answer {
    match reason {
        "the store is unavailable"
        | "the store is unavailable, and --store-queue has no room"
        | "the store was unavailable for --store-queue-time" => Answer::NotKept,
        "the store is unavailable, and may have stored the update before" => Answer::Unsure,
        _ => panic!("{reason}"),
    }
}
