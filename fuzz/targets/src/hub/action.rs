//! What clients send.

use std::rc::Rc;

use test_support::websocket::{TEXT, frame, last, part};

use super::choices::{Data, HUB, Token};
use super::event::Id;
use super::matching::{Pattern, escaped};

/// One request or message of a client.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Subscribe(Subscribe),
    Publish(Publish),
    List(List),
    Odd(&'static Odd),
    /// Frames of a WebSocket that publish nothing.
    Frames(&'static [Frames]),
}

#[derive(Clone, Debug)]
pub(super) struct Subscribe {
    pub(super) patterns: Vec<Pattern>,
    pub(super) token: Option<&'static Token>,
    pub(super) is_socket: bool,
    /// Whether the client does not wait for the answer before it sends a message.
    pub(super) has_early: bool,
    /// The last event id, and where it stands.
    pub(super) from: Option<(String, Place)>,
}

/// Where a last event id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Field,
    DeployedParameter,
    StandardParameter,
}

#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) topics: Vec<&'static str>,
    pub(super) data: Data,
    pub(super) is_private: bool,
    pub(super) id: &'static str,
    pub(super) event_type: &'static str,
    pub(super) retry: &'static str,
    pub(super) token: Option<&'static Token>,
    pub(super) closes: bool,
}

#[derive(Clone, Debug)]
pub(super) struct List {
    pub(super) of: Resource,
    pub(super) token: Option<&'static Token>,
}

/// A list of subscriptions, or one.
#[derive(Clone, Debug)]
pub(super) enum Resource {
    All,
    Matching(Pattern),
    /// The one of a subscriber. Without an id there is no such subscriber.
    One(Pattern, Option<Rc<Id>>),
}

impl Resource {
    pub(super) fn path(&self) -> String {
        let matching = |pattern: &Pattern| {
            let kind = match pattern.kind.is_standard() {
                true => format!("/{}", pattern.kind.name()),
                false => String::new(),
            };
            format!("{HUB}/subscriptions{kind}/{}", escaped(pattern.text))
        };
        match self {
            Self::All => format!("{HUB}/subscriptions"),
            Self::Matching(pattern) => matching(pattern),
            Self::One(pattern, subscriber) => {
                let id = subscriber.as_ref().and_then(|id| id.known());
                let id = escaped(id.unwrap_or("urn:uuid:x"));
                format!("{}/{id}", matching(pattern))
            }
        }
    }
}

/// A request that changes nothing, and its answer.
#[derive(Debug)]
pub(super) struct Odd {
    bytes: &'static str,
    status: u16,
    pub(super) ends: bool,
    /// It is about subscribing, and has no token.
    subscribes: bool,
}

impl Odd {
    pub(super) fn status(&self, is_anonymous: bool, is_full: bool) -> u16 {
        match self.subscribes {
            true if !is_anonymous => 401,
            true if is_full => 429,
            _ => self.status,
        }
    }

    pub(super) fn is_head(&self) -> bool {
        self.bytes.starts_with("HEAD ")
    }
}

const fn odd(bytes: &'static str, status: u16, ends: bool) -> Odd {
    Odd {
        bytes,
        status,
        ends,
        subscribes: false,
    }
}

const fn odd_subscription(bytes: &'static str) -> Odd {
    Odd {
        bytes,
        status: 400,
        ends: false,
        subscribes: true,
    }
}

pub(super) static ODD: [Odd; 16] = [
    odd("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404, false),
    odd("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200, false),
    odd("HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200, false),
    odd("GET /healthz HTTP/1.0\r\n\r\n", 200, true),
    odd(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        200,
        true,
    ),
    odd(
        "PUT /.well-known/mercure HTTP/1.1\r\nHost: x\r\n\r\n",
        405,
        false,
    ),
    odd_subscription("GET /.well-known/mercure HTTP/1.1\r\nHost: x\r\n\r\n"),
    odd_subscription("GET /.well-known/mercure?topic= HTTP/1.1\r\nHost: x\r\n\r\n"),
    odd(
        "OPTIONS /.well-known/mercure HTTP/1.1\r\nHost: x\r\n\r\n",
        204,
        false,
    ),
    odd(
        "POST /.well-known/mercure HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\ntopic=a",
        401,
        false,
    ),
    odd(
        "GET /.well-known/mercure?topic=a&match=a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 12\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        426,
        false,
    ),
    odd(
        "GET /.well-known/mercure?topic=a&match=a HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
        400,
        false,
    ),
    odd(
        "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        400,
        true,
    ),
    odd("\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n", 400, true),
    odd(
        "GET /.well-known/mercure/subscriptionsx HTTP/1.1\r\nHost: x\r\n\r\n",
        404,
        false,
    ),
    odd(
        "POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        405,
        false,
    ),
];

/// Frames of a client, and the answer that the last of them gets.
#[derive(Debug)]
pub(super) struct Frames {
    bytes: &'static [u8],
    pub(super) answer: Option<FrameAnswer>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum FrameAnswer {
    Refused(u16),
    Pong(&'static [u8]),
    /// A close frame with that code, and the end.
    Close(Option<u16>),
}

const fn frames(bytes: &'static [u8], answer: FrameAnswer) -> Frames {
    Frames {
        bytes,
        answer: Some(answer),
    }
}

/// Their masks are of zeros.
pub(super) static FRAMES: [&[Frames]; 12] = [
    &[frames(b"\x89\x80\0\0\0\0", FrameAnswer::Pong(b""))],
    &[frames(b"\x89\x82\0\0\0\0hi", FrameAnswer::Pong(b"hi"))],
    &[Frames {
        bytes: b"\x8a\x81\0\0\0\0x",
        answer: None,
    }],
    &[frames(b"\x81\x82\0\0\0\0{}", FrameAnswer::Refused(400))],
    &[frames(b"\x81\x80\0\0\0\0", FrameAnswer::Refused(400))],
    // A ping inside a message is answered before the message is complete.
    &[
        frames(
            b"\x01\x81\0\0\0\0{\x89\x81\0\0\0\0p",
            FrameAnswer::Pong(b"p"),
        ),
        frames(b"\x80\x81\0\0\0\0}", FrameAnswer::Refused(400)),
    ],
    &[frames(b"\x82\x81\0\0\0\0x", FrameAnswer::Close(Some(1003)))],
    &[frames(b"\x81\x02hi", FrameAnswer::Close(Some(1002)))],
    &[frames(b"\xc1\x81\0\0\0\0x", FrameAnswer::Close(Some(1002)))],
    &[frames(
        b"\x81\x81\0\0\0\0\xff",
        FrameAnswer::Close(Some(1007)),
    )],
    &[frames(
        b"\x88\x82\0\0\0\0\x03\xe8",
        FrameAnswer::Close(Some(1000)),
    )],
    &[frames(b"\x88\x80\0\0\0\0", FrameAnswer::Close(None))],
];

impl Action {
    /// Its bytes, as a request, or as frames of a WebSocket.
    pub(super) fn bytes(&self, is_socket: bool) -> Vec<u8> {
        match self {
            Self::Subscribe(subscribe) => subscribe.request().into_bytes(),
            Self::Publish(publish) if is_socket => message_bytes(&publish.message()),
            Self::Publish(publish) => publish.request().into_bytes(),
            Self::List(list) => {
                let (path, token) = (list.of.path(), authorization(list.token));
                format!("GET {path} HTTP/1.1\r\nHost: x\r\n{token}\r\n").into_bytes()
            }
            Self::Odd(odd) => odd.bytes.as_bytes().to_vec(),
            Self::Frames(frames) => frames.iter().flat_map(|one| one.bytes).copied().collect(),
        }
    }

    /// It in parts of which each gets one answer at most.
    pub(super) fn parts(self) -> Vec<Self> {
        match self {
            Self::Frames(frames) => frames.chunks(1).map(Self::Frames).collect(),
            whole => vec![whole],
        }
    }
}

/// The field with a token.
fn authorization(token: Option<&Token>) -> String {
    token.map_or_else(String::new, |token| {
        format!("Authorization: Bearer {}\r\n", token.text)
    })
}

impl Subscribe {
    fn request(&self) -> String {
        let mut query: Vec<String> = Vec::new();
        for pattern in &self.patterns {
            query.push(format!(
                "{}={}",
                pattern.kind.parameter(),
                escaped(pattern.text)
            ));
        }
        let mut fields = authorization(self.token);
        match &self.from {
            None => {}
            Some((id, Place::Field)) => fields += &format!("Last-Event-ID: {id}\r\n"),
            Some((id, Place::DeployedParameter)) => {
                query.push(format!("lastEventID={}", escaped(id)));
            }
            Some((id, Place::StandardParameter)) => {
                query.push(format!("last_event_id={}", escaped(id)));
            }
        }
        if self.is_socket {
            fields += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        }
        let query = query.join("&");
        format!("GET {HUB}?{query} HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
    }
}

impl Publish {
    fn request(&self) -> String {
        let mut form: Vec<String> = Vec::new();
        for topic in &self.topics {
            form.push(format!("topic={}", escaped(topic)));
        }
        form.push(format!("data={}", self.data.escaped()));
        if self.is_private {
            form.push("private=".to_owned());
        }
        for (name, value) in [
            ("id", self.id),
            ("type", self.event_type),
            ("retry", self.retry),
        ] {
            form.push(format!("{name}={}", escaped(value)));
        }
        let form = form.join("&");
        let token = authorization(self.token);
        let connection = if self.closes {
            "Connection: close\r\n"
        } else {
            ""
        };
        format!(
            "POST {HUB} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n{connection}{token}\r\n{form}",
            form.len()
        )
    }

    fn message(&self) -> String {
        let mut message = serde_json::json!({ "topics": self.topics, "data": self.data.text() });
        if self.is_private {
            message["private"] = true.into();
        }
        for (name, value) in [("id", self.id), ("type", self.event_type)] {
            if !value.is_empty() {
                message[name] = value.into();
            }
        }
        if !self.retry.is_empty() {
            let number: Result<u64, _> = self.retry.parse();
            message["retry"] = number.map_or(self.retry.into(), Into::into);
        }
        message.to_string()
    }
}

/// A text message in one frame, or in two if it is long.
fn message_bytes(text: &str) -> Vec<u8> {
    const FIRST_MAX: usize = 200;
    match text.as_bytes().split_at_checked(FIRST_MAX) {
        Some((first, rest @ [_, ..])) => [part(TEXT, first).bytes(), last(rest).bytes()].concat(),
        _ => frame(TEXT, text).bytes(),
    }
}
