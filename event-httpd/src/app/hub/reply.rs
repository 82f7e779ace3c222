//! Writes the hub's answers.

use std::io::Write as _;

use crate::answer::{FieldLine, field_lines};
use crate::app::Request;
use crate::config::{Cors, HubConfig};
use crate::worker::{Worker, http_date};
use http_framing::reason_phrase;
use hub_protocol::{Refusal, Status, websocket};

use super::request::Head;

/// What an answer takes from its request.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    head_only: bool,
    keep_alive: bool,
    /// The origin that may read the answer, as `Access-Control-Allow-Origin` names it.
    origin: Option<String>,
}

impl Asker {
    pub(super) fn of(request: &Request<'_>, head: &Head<'_>, cors: &Cors) -> Self {
        Self {
            head_only: request.head_only,
            keep_alive: request.keep_alive,
            origin: reading_origin(head, cors),
        }
    }

    /// A copy for a delayed answer: it closes the connection if the worker is ending by then.
    pub(super) fn later(&self, worker: &Worker) -> Self {
        Self {
            keep_alive: self.keep_alive && !worker.is_ending(),
            ..self.clone()
        }
    }

    /// For an answer to nothing that can be read.
    pub(super) fn of_nobody() -> Self {
        Self {
            head_only: false,
            keep_alive: false,
            origin: None,
        }
    }

    /// Whether the origin of the request may read the answer.
    pub(super) fn may_read(&self) -> bool {
        self.origin.is_some()
    }
}

/// An answer that is being written: the head, and then the rest.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    bytes: Vec<u8>,
    asker: &'a Asker,
}

impl<'a> Reply<'a> {
    /// Begins with the lines that every answer has.
    pub(super) fn new(status: u16, asker: &'a Asker, cors: &Cors, headers: &[FieldLine]) -> Self {
        let mut bytes = Vec::with_capacity(512);
        let phrase = reason_phrase(status);
        let date = http_date();
        // Writing into a Vec can't fail.
        let _ = write!(bytes, "HTTP/1.1 {status} {phrase}\r\nDate: {date}\r\n");
        push_cors(&mut bytes, asker.origin.as_deref(), cors);
        let mut reply = Self { bytes, asker };
        reply = reply.field("X-Content-Type-Options", "nosniff");
        field_lines(&mut reply.bytes, headers);
        reply
    }

    /// Adds a field. The value has no line break.
    pub(super) fn field(mut self, name: &str, value: &str) -> Self {
        let _ = write!(self.bytes, "{name}: {value}\r\n");
        self
    }

    /// Ends with a body.
    pub(super) fn body(mut self, content_type: &str, body: &[u8]) -> Vec<u8> {
        self = self.field("Content-Type", content_type);
        let connection = if self.asker.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        let _ = write!(
            self.bytes,
            "Connection: {connection}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if !self.asker.head_only {
            self.bytes.extend_from_slice(body);
        }
        self.bytes
    }

    /// Ends with a line of text.
    pub(super) fn text(self, text: &str) -> Vec<u8> {
        self.body("text/plain; charset=utf-8", format!("{text}\n").as_bytes())
    }

    /// Ends without a body, as 204 and an answer to `HEAD` do.
    pub(super) fn empty(self) -> Vec<u8> {
        if self.asker.keep_alive {
            self.end()
        } else {
            self.until_close()
        }
    }

    /// Ends a head as it is.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(b"\r\n");
        self.bytes
    }

    /// Ends the head of an answer whose body the end of the connection ends.
    pub(super) fn until_close(self) -> Vec<u8> {
        self.field("Connection", "close").end()
    }
}

/// The origin of a request that may read the answer, as `Access-Control-Allow-Origin` names it.
fn reading_origin(head: &Head<'_>, cors: &Cors) -> Option<String> {
    let origin = str::from_utf8(head.field("Origin")?).ok()?;
    match cors {
        Cors::Every => Some("*".to_owned()),
        Cors::Only(origins) => origins.iter().find(|one| *one == origin).cloned(),
    }
}

/// Header lines that let a page of `origin` read the answer.
fn push_cors(bytes: &mut Vec<u8>, origin: Option<&str>, cors: &Cors) {
    if let Some(origin) = origin {
        // Writing into a Vec can't fail.
        let _ = write!(
            bytes,
            "Access-Control-Allow-Origin: {origin}\r\n\
             Access-Control-Expose-Headers: Link, Last-Event-ID, Mercure-Last-Event-ID, \
             Retry-After, WWW-Authenticate\r\n"
        );
        if *cors != Cors::Every {
            bytes.extend_from_slice(b"Access-Control-Allow-Credentials: true\r\n");
        }
    }
    if matches!(cors, Cors::Only(origins) if !origins.is_empty()) {
        bytes.extend_from_slice(b"Vary: Origin\r\n");
    }
}

/// Header lines for an answer to a request that the server refuses before the hub sees it.
pub(super) fn refusal_fields(head: &[u8], cors: &Cors) -> Vec<u8> {
    let head = Head::read(head);
    let origin = head.and_then(|head| reading_origin(&head, cors));
    let mut fields = Vec::new();
    push_cors(&mut fields, origin.as_deref(), cors);
    fields
}

/// The answer to a request that the protocol refuses.
pub(super) fn refusal(
    refusal: &Refusal,
    asker: &Asker,
    hub: &HubConfig,
    headers: &[FieldLine],
) -> Vec<u8> {
    let mut reply = Reply::new(refusal.status().code(), asker, &hub.cors, headers);
    let metadata = hub.forms.standard.then(|| super::metadata::url(hub));
    if let Some(challenge) = refusal.challenge(metadata.as_deref()) {
        reply = reply.field("WWW-Authenticate", &challenge);
    }
    if refusal.status() == Status::UpgradeRequired {
        reply = reply.field("Sec-WebSocket-Version", websocket::VERSION);
    }
    reply.text(refusal.reason())
}
