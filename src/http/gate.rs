//! The gate in front of evhttp: bytes in, bytes out.
//!
//! evhttp (libevent's HTTP server) repairs requests that RFC 9112 lets a server refuse, and reads
//! some valid requests differently from the RFC. Each of these is a way to hide one request inside
//! another. So the codec reads a connection first. evhttp never sees what the codec refuses. What
//! it accepts is rewritten, so that evhttp reads it as the codec did.
//!
//! Owns: the part of a head that has come so far, and what follows the head of a streamed body
//! until evhttp has shown it. Lends nothing to C, runs no user code.
//!
//! # What is rewritten, and why (http.c of libevent 2.1.12)
//! - **Empty lines** before a request are dropped: evhttp takes one for a malformed request.
//! - **White space** around field values goes: evhttp strips spaces before a value but no tabs,
//!   so `Transfer-Encoding:\tchunked` would have no body, and its chunks be requests.
//! - **`Content-Length` and `Transfer-Encoding`** get the codec's own result as their value. A
//!   length past `isize::MAX` is refused, where evhttp's number stops at `i64::MAX`.
//! - **`Connection`** becomes one field with one word where the connection will close, or is
//!   HTTP/1.0: evhttp looks at the first field only, knows `close` only as its whole value, and
//!   takes any value that begins with `keep-alive`. Else it stays (`Connection: Upgrade`).
//! - **A body that evhttp would not read** (of `HEAD`, `TRACE`, and methods it does not know) is
//!   dropped with all that comes after it, and the head is passed on without it, with
//!   `Connection: close`: one request, one answer, and the end.
//! - **A target that begins with `//`** is a path to RFC 9112 and an authority to evhttp, which
//!   would route `//x/admin` to `/admin`, and name `x` the host: its second slash is passed on as
//!   `%2F`, which evhttp routes as the path that was sent. The user gets it as it was sent.
//! - **An encoded NUL** (`%00`) before the query is refused: evhttp decodes a path before it
//!   compares it, as a C string, and `/admin%00x` would be `/admin`. It decodes only once, and
//!   knows no other form.
//! - **Chunks** are rewritten without extensions. **Trailer fields** are dropped: evhttp would
//!   add them to the fields of the head.
//! - **After the last request** (the peer said `close`) nothing is passed on.
//!
//! - **A method of one or two characters** can make a request line that is too short for evhttp,
//!   which answers 400. It is passed on as [`UNKNOWN`], which gets the 501 of any unknown method.
//!
//! # Streamed bodies
//! evhttp shows a request when its body is complete, and 2.1 has no callback before. So evhttp gets
//! the head of a request whose closure takes the body as it comes without a length, and shows it
//! at once. The body goes past evhttp, to [`Sink::body`]. What follows such a head waits in the
//! gate until evhttp has shown it, since evhttp may be at work on an earlier request.
//!
//! # Refusals
//! A refused request is answered in its turn, after those before it. In its place evhttp gets
//! [`REFUSED_REQUEST`], or in the middle of a chunked body the end of that body. Both end with
//! [`REFUSED`]. Once a request was refused, `EventHttp` looks for that end first, and answers
//! with the status that [`Gate::refusal`] gives: it cannot leave that to evhttp, which would
//! learn of the end of the peer's writing side in the middle of its answer, and lose the answer.
//! No refused request reaches a callback. A peer that sends this end itself is refused at worst. In the
//! middle of a streamed body evhttp learns nothing: its request is shown already.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

use std::collections::VecDeque;
use std::{iter, mem};

use memchr::memchr;

use crate::codec::{BodyLength, Decoder, Head, Item, Limits, Method, Refusal, Status, Version};

/// The end of what stands for a refused request.
pub(super) const REFUSED: &[u8] = b"refused by the gate";

/// Stands for a refused request.
const REFUSED_REQUEST: &[u8] = b"POST / HTTP/1.1\r\nContent-Length:19\r\n\r\nrefused by the gate";

/// The end of a chunked body, with [`REFUSED`] in it.
const NO_MORE_CHUNKS: &[u8] = b"13\r\nrefused by the gate\r\n0\r\n\r\n";

/// Stands for a method that evhttp does not know.
const UNKNOWN: &[u8] = b"UNKNOWN";

/// The length of the shortest request line that evhttp reads.
const SHORTEST_LINE: usize = "GET / HTTP/1.0".len();

const ENCODED_NUL: Refusal = Refusal::new(
    Status::BadRequest,
    "the path of the request target has an encoded NUL (%00)",
);

/// Stands between one connection and evhttp.
#[derive(Debug)]
pub(crate) struct Gate {
    decoder: Decoder,
    /// The start of a head or of a trailer line, whose end has not come, at most `keep_max` bytes;
    /// in [`State::Held`] whatever has come.
    kept: Vec<u8>,
    keep_max: usize,
    body_max: u64,
    state: State,
    /// For each head that went on and was not shown to the server yet.
    passed: VecDeque<Passed>,
    heads: u64,
    body_bytes: u64,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Heads that went on.
    pub(crate) heads: u64,
    /// Bytes of all bodies.
    pub(crate) body_bytes: u64,
    /// What has begun, and is not complete.
    pub(crate) part: Part,
}

/// A part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    None,
    Head,
    Body,
}

/// What evhttp does not know of a head that it was given, or does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Its target began with `//`, which evhttp has as `/%2F`.
    pub(crate) slashed: bool,
    /// Its body goes past evhttp.
    pub(crate) streamed: Option<Streamed>,
    /// It is of HTTP/1.0.
    pub(crate) is_1_0: bool,
}

/// How a head announces a body that goes past evhttp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Streamed {
    /// `None` for chunks.
    pub(crate) length: Option<u64>,
    /// The peer waits for 100 Continue.
    pub(crate) expects_continue: bool,
}

/// Where the gate puts what it lets pass. A closure that takes bytes streams no body.
pub(crate) trait Sink {
    /// Bytes for evhttp, in order.
    fn evhttp(&mut self, bytes: &[u8]);

    /// How long the body of this request may be, if it is to be streamed.
    fn streams(&mut self, _head: &Head<'_>) -> Option<u64> {
        None
    }

    /// The next part of a streamed body.
    fn body(&mut self, _part: &[u8]) {}

    /// The streamed body is complete.
    fn body_end(&mut self) {}
}

impl<F: FnMut(&[u8])> Sink for F {
    fn evhttp(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

#[derive(Debug)]
enum State {
    /// A head comes next.
    Head,
    /// The head of a streamed body went on, and evhttp has not shown it yet.
    Held { to: BodyTo, last: bool },
    /// A head went on, the end of its request did not.
    Body {
        to: BodyTo,
        /// Nothing may follow this request.
        last: bool,
    },
    /// Nothing more is passed on.
    Over(Option<Refusal>),
}

/// Where a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyTo {
    Evhttp {
        chunked: bool,
    },
    Stream,
    /// Nowhere: the request has its reply already.
    Nothing,
}

impl Gate {
    /// A gate at the start of a connection.
    ///
    /// `limits` are the server's; evhttp has none, for what follows a refusal must not
    /// reach it.
    pub(crate) fn new(limits: Limits) -> Self {
        // evhttp counts in i64 and casts to size_t: past either it would lose count.
        let countable = u64::try_from(isize::MAX).unwrap_or(u64::MAX);
        let highest = Limits {
            body_size: countable,
            ..limits
        };
        Self {
            decoder: Decoder::new(highest),
            kept: Vec::new(),
            keep_max: limits.header_size,
            body_max: limits.body_size,
            state: State::Head,
            passed: VecDeque::new(),
            heads: 0,
            body_bytes: 0,
        }
    }

    /// What evhttp does not know of the next request that it shows. Called once for each.
    pub(crate) fn take_passed(&mut self) -> Option<Passed> {
        self.passed.pop_front()
    }

    /// Whether the body of a request waits until [`release`](Self::release).
    pub(crate) const fn is_holding(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    /// How many bytes wait.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// evhttp has shown the request whose body waits: lets the body on.
    pub(crate) fn release(&mut self, out: &mut impl Sink) {
        if let State::Held { to, last } = self.state {
            self.state = State::Body { to, last };
            let kept = mem::take(&mut self.kept);
            self.pass(&kept, out);
        }
    }

    /// The streamed request has its reply: what is missing of its body goes nowhere.
    pub(crate) fn drop_body(&mut self) {
        if let State::Held { to, .. } | State::Body { to, .. } = &mut self.state
            && *to == BodyTo::Stream
        {
            *to = BodyTo::Nothing;
        }
    }

    /// Takes what has arrived, and gives `out` the bytes that evhttp may see, in order.
    ///
    /// All of `input` is used up. A complete head is passed on in one call of `out`; a body
    /// as it comes, in slices of `input`. If `out` can't store what it is given, the connection
    /// has to end: what follows would be read as something else.
    pub(crate) fn pass(&mut self, input: &[u8], out: &mut impl Sink) {
        if self.is_holding() {
            self.kept.extend(input);
            return;
        }
        let mut rest = input;
        // Line by line, so that nothing which follows the head is copied with it.
        while !self.kept.is_empty() && !rest.is_empty() && !self.is_holding() {
            let mut kept = mem::take(&mut self.kept);
            let room = self.keep_max.saturating_sub(kept.len()).max(1);
            let window = rest.get(..room).unwrap_or(rest);
            let len = memchr(b'\n', window).map_or(window.len(), |lf| lf + 1);
            kept.extend(rest.split_off(..len).unwrap_or_default());
            let used = self.read(&kept, out);
            if used < kept.len() {
                kept.drain(..used);
                self.kept = kept;
            }
        }
        if !rest.is_empty() {
            let used = self.read(rest, out);
            self.kept.extend(rest.get(used..).unwrap_or_default());
        }
    }

    /// How far the connection has come.
    pub(crate) const fn progress(&self) -> Progress {
        Progress {
            heads: self.heads,
            body_bytes: self.body_bytes,
            part: match self.state {
                State::Head if !self.kept.is_empty() => Part::Head,
                State::Body { .. } => Part::Body,
                _ => Part::None,
            },
        }
    }

    /// Whether the peer may still be sending what nobody reads: what follows a refused request, or
    /// the rest of a body.
    pub(crate) const fn is_cut_short(&self) -> bool {
        match self.state {
            State::Over(refusal) => refusal.is_some(),
            State::Held { .. } | State::Body { .. } => true,
            State::Head => false,
        }
    }

    /// Whether nothing more is passed on.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// The first thing that was refused, after which nothing is passed on, and the status to answer
    /// with: 413, 417, or 400 for all others.
    pub(crate) const fn refusal(&self) -> Option<(u16, &Refusal)> {
        let State::Over(Some(refusal)) = &self.state else {
            return None;
        };
        let code = match refusal.status() {
            Status::ContentTooLarge => 413,
            Status::ExpectationFailed => 417,
            _ => 400,
        };
        Some((code, refusal))
    }

    /// Lets on what is complete at the start of `bytes`, and says how much of them is used up.
    fn read(&mut self, bytes: &[u8], out: &mut impl Sink) -> usize {
        let mut rest = bytes;
        while !matches!(self.state, State::Over(_) | State::Held { .. }) {
            let decoded = match self.decoder.decode(rest) {
                Ok(decoded) => decoded,
                Err(refusal) => {
                    self.refuse(refusal, out);
                    break;
                }
            };
            let item = rest.split_off(..decoded.used).unwrap_or_default();
            match decoded.item {
                Item::NeedMore => return bytes.len() - rest.len(),
                Item::Head(head) => self.head(item, head, out),
                Item::Body(part) => self.body(part, out),
                Item::End => self.end(out),
            }
        }
        match self.state {
            State::Held { .. } => bytes.len() - rest.len(),
            _ => bytes.len(),
        }
    }

    fn head(&mut self, raw: &[u8], head: Head<'_>, out: &mut impl Sink) {
        if has_encoded_nul(head.target) {
            return self.refuse(ENCODED_NUL, out);
        }
        let bodiless = head.body.is_empty();
        let last = !head.keep_alive;
        let reads = bodiless || reads_body(head.method);
        let streams = if bodiless || !reads {
            None
        } else {
            out.streams(&head)
        };
        if let Err(refusal) = self.decoder.limit_body(streams.unwrap_or(self.body_max)) {
            return self.refuse(refusal, out);
        }
        self.heads += 1;
        self.passed.push_back(Passed {
            slashed: head.target.starts_with(b"//"),
            streamed: streams.map(|_| Streamed::from(&head)),
            is_1_0: head.version == Version::Http10,
        });
        let without_body = |keep_alive| Head {
            body: BodyLength::None,
            keep_alive,
            ..head
        };
        if streams.is_some() {
            out.evhttp(&written(raw, &without_body(head.keep_alive)));
            let to = BodyTo::Stream;
            self.state = State::Held { to, last };
        } else if reads {
            out.evhttp(&written(raw, &head));
            let chunked = head.body == BodyLength::Chunked;
            let to = BodyTo::Evhttp { chunked };
            self.state = State::Body { to, last };
        } else {
            out.evhttp(&written(raw, &without_body(false)));
            self.state = State::Over(None);
        }
    }

    fn body(&mut self, part: &[u8], out: &mut impl Sink) {
        self.body_bytes += part.len() as u64;
        match self.state {
            State::Body {
                to: BodyTo::Stream, ..
            } => out.body(part),
            State::Body {
                to: BodyTo::Nothing,
                ..
            } => {}
            State::Body {
                to: BodyTo::Evhttp { chunked: true },
                ..
            } => {
                out.evhttp(format!("{:x}\r\n", part.len()).as_bytes());
                out.evhttp(part);
                out.evhttp(b"\r\n");
            }
            _ => out.evhttp(part),
        }
    }

    fn end(&mut self, out: &mut impl Sink) {
        if let State::Body { to, last } = self.state {
            match to {
                BodyTo::Stream => out.body_end(),
                BodyTo::Evhttp { chunked: true } => out.evhttp(b"0\r\n\r\n"),
                BodyTo::Evhttp { chunked: false } | BodyTo::Nothing => {}
            }
            self.state = if last { State::Over(None) } else { State::Head };
        }
    }

    fn refuse(&mut self, refusal: Refusal, out: &mut impl Sink) {
        let (stream, chunks) = (BodyTo::Stream, BodyTo::Evhttp { chunked: true });
        match self.state {
            State::Body { to, .. } if to == stream => {}
            // Chunks are passed on whole, so that evhttp waits for the size of the next.
            State::Body { to, .. } if to == chunks => out.evhttp(NO_MORE_CHUNKS),
            _ => out.evhttp(REFUSED_REQUEST),
        }
        self.state = State::Over(Some(refusal));
    }
}

impl From<&Head<'_>> for Streamed {
    fn from(head: &Head<'_>) -> Self {
        Self {
            length: match head.body {
                BodyLength::Length(length) => Some(length),
                BodyLength::None | BodyLength::Chunked => None,
            },
            expects_continue: head.expects_continue,
        }
    }
}

/// Whether evhttp reads the body of a request with this method, as its head announces it.
const fn reads_body(method: Method) -> bool {
    matches!(
        method,
        Method::Get | Method::Post | Method::Put | Method::Delete | Method::Options | Method::Patch
    )
}

fn has_encoded_nul(target: &[u8]) -> bool {
    let path = target.split(|byte| *byte == b'?').next();
    let mut windows = path.unwrap_or_default().windows(3);
    windows.any(|window| window == b"%00")
}

/// Rewrites a head from `raw`, as it was received, and what the codec made of it.
///
/// There is no space after a colon, so that no head outgrows evhttp's limit on its way.
fn written(raw: &[u8], head: &Head<'_>) -> Vec<u8> {
    let mut rest = raw.trim_ascii_start();
    let next = || {
        let line;
        (line, rest) = cut(rest, b'\n');
        Some(line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty())
    };
    let mut lines = iter::from_fn(next); // to the empty line at the end of the head
    let mut anew = Vec::with_capacity(raw.len() + "%2F".len() + UNKNOWN.len());
    let (method, _) = cut(lines.next().unwrap_or_default(), b' ');
    request_line(&mut anew, method, head);
    let connection = connection(head);
    let mut due = connection;
    for line in lines {
        let (name, value) = cut(line, b':');
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("Content-Length") {
            if let BodyLength::Length(length) = head.body {
                field(&mut anew, name, length.to_string().as_bytes());
            }
        } else if is("Transfer-Encoding") {
            if head.body == BodyLength::Chunked {
                field(&mut anew, name, b"chunked");
            }
        } else if is("Connection") && connection.is_some() {
            if let Some(word) = due.take() {
                field(&mut anew, name, word);
            }
        } else {
            // The codec lets in no white space but spaces and tabs.
            field(&mut anew, name, value.trim_ascii());
        }
    }
    // HTTP/1.0 closes without it, and the answer does not name what the peer did not.
    if let Some(word) = due
        && head.version == Version::Http11
    {
        field(&mut anew, b"Connection", word);
    }
    anew.extend_from_slice(b"\r\n");
    anew
}

fn request_line(anew: &mut Vec<u8>, method: &[u8], head: &Head<'_>) {
    let len = method.len() + head.target.len() + "  HTTP/1.0".len();
    anew.extend_from_slice(match len < SHORTEST_LINE {
        true => UNKNOWN,
        false => method,
    });
    anew.push(b' ');
    if let Some(rest) = head.target.strip_prefix(b"//") {
        anew.extend_from_slice(b"/%2F");
        anew.extend_from_slice(rest);
    } else {
        anew.extend_from_slice(head.target);
    }
    anew.extend_from_slice(match head.version {
        Version::Http10 => b" HTTP/1.0\r\n",
        Version::Http11 => b" HTTP/1.1\r\n",
    });
}

/// The one word evhttp is to find in `Connection`, where it might not find it by itself.
const fn connection(head: &Head<'_>) -> Option<&'static [u8]> {
    match (head.version, head.keep_alive) {
        (Version::Http11, true) => None,
        (Version::Http10, true) => Some(b"keep-alive"),
        (_, false) => Some(b"close"),
    }
}

fn field(anew: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b":", value, b"\r\n"] {
        anew.extend_from_slice(part);
    }
}

/// What stands before the first `byte`, and what after it.
fn cut(line: &[u8], byte: u8) -> (&[u8], &[u8]) {
    let (before, rest) = line.split_at(memchr(byte, line).unwrap_or(line.len()));
    (before, rest.split_first().map_or(rest, |(_, after)| after))
}

#[cfg(test)]
mod tests;
