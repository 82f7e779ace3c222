//! HTTP/1.1 framing (RFC 9112): bytes in, values out.
//!
//! No sockets, no clock, no allocation per request. A server's [`Decoder`] takes what a
//! connection has read and says what it is; [`response`] writes heads and refusals into a buffer.
//! A client's [`ResponseDecoder`] reads the answer to one request.
//!
//! It is strict where leniency lets two readers of one stream disagree about where a request
//! ends. Whatever RFC 9112 allows a server to repair (bare LF, folded lines, lists of equal
//! lengths, a length and a coding) is refused with 400, and the reason says what to change.
//! Bytes from 0x80 on are opaque in field values (RFC 9110 §5.5) and refused elsewhere.
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

mod byte_set;
mod chunked;
mod connection;
mod host;
mod line;
mod phrase;
mod refusal;
mod request;
mod request_head;
pub mod response;
mod response_decoder;
mod scan;
mod syntax;
#[cfg(test)]
mod tests;

use memchr::memchr_iter;

pub use phrase::reason_phrase;
pub use refusal::{Refusal, Status};
pub use request::{BodyLength, Head, Method, Version};
pub use request_head::RequestHead;
pub use response_decoder::{
    FieldLines, INTERIM_RESPONSES_MAX, ResponseBody, ResponseDecoded, ResponseDecoder,
    ResponseError, ResponseHead, ResponseItem,
};
pub use syntax::{is_field_value, is_token};

/// Fields in one head, and in one trailer: more than any browser sends, and their table still
/// fits into a page of stack.
pub const MAX_FIELDS: usize = 100;

/// Bytes of a request line, its CR LF included: RFC 9112 §3 wants 8000 at least.
pub const REQUEST_LINE_MAX: usize = 8 * 1024;

/// Empty lines skipped before one request. RFC 9112 §2.2 asks for one, which old clients send
/// after a body; a stream of them would hold a connection for nothing.
pub const LEADING_EMPTY_LINES_MAX: u8 = 4;

const BODY_TOO_LONG: Refusal = Refusal::new(
    Status::ContentTooLarge,
    "the request body is longer than this server takes",
);

/// How much one request may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request line and its fields, the empty line included; trailers are counted separately.
    pub header_size: usize,
    /// Bytes of a body, chunk framing not counted.
    pub body_size: u64,
}

impl Default for Limits {
    /// 16 KiB of head, 1 MiB of body.
    fn default() -> Self {
        Self {
            header_size: 16 * 1024,
            body_size: 1024 * 1024,
        }
    }
}

impl Limits {
    fn request_line(&self) -> usize {
        self.header_size.min(REQUEST_LINE_MAX)
    }
}

/// What [`Decoder::decode`] found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Nothing to hand out before more bytes come.
    NeedMore,
    /// A request begins.
    Head(Head<'a>),
    /// The next part of its body, never empty.
    Body(&'a [u8]),
    /// The request is complete; every request has this last, also one without a body.
    End,
}

/// One item, and how many bytes of the input it used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Bytes to drop from the front of the input before the next call.
    pub used: usize,
    /// What they were.
    pub item: Item<'a>,
}

/// What a connection waits for: each has its own deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Between requests: nothing but empty lines has come of the next. Also after a refusal.
    Idle,
    /// Part of a head has come.
    Head,
    /// The head was handed out, the end was not.
    Body,
}

/// Reads requests from the bytes of one connection.
///
/// The caller keeps the bytes. It passes those not used yet, drops as many as
/// [`Decoded::used`] says, and passes the rest again with what has arrived since. Each request
/// gives one [`Item::Head`], any number of [`Item::Body`], and [`Item::End`]; then the decoder
/// is ready for the next. The work is linear in the bytes however they are cut.
///
/// # Examples
/// ```
/// use http_framing::{Decoder, Item, Limits};
///
/// let mut input: &[u8] = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
/// let mut decoder = Decoder::new(Limits::default());
/// let mut body = Vec::new();
/// loop {
///     let decoded = decoder.decode(input)?;
///     input = &input[decoded.used..];
///     match decoded.item {
///         Item::Head(head) => assert_eq!(head.target, b"/"),
///         Item::Body(part) => body.extend_from_slice(part),
///         Item::End | Item::NeedMore => break,
///     }
/// }
/// assert_eq!(body, b"hi");
/// # Ok::<(), http_framing::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    state: State,
    limits: Limits,
}

#[derive(Debug)]
enum State {
    Head(Progress),
    Length(u64),
    Chunked(chunked::Decoder),
    End,
    Refused(Refusal),
}

/// How far a head that came in parts has been looked at.
#[derive(Debug)]
struct Progress {
    /// Bytes searched for the empty line; 0 as long as nothing has come.
    searched: usize,
    /// The length at which a part is parsed again, so that garbage is refused before its end.
    parse_at: usize,
    empty_lines: u8,
}

impl Decoder {
    /// A decoder at the start of a connection.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            state: State::START,
            limits,
        }
    }

    /// Says what is at the start of `input`.
    ///
    /// [`Item::NeedMore`] may have used bytes, too. [`Item::End`] needs none, so it comes also
    /// for an empty input. The items borrow from `input`: nothing is copied.
    ///
    /// # Errors
    /// A [`Refusal`] when the request can't be served. The stream can't be read any further: the
    /// connection is to be closed after the answer, and every later call gives the same refusal.
    #[inline]
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Decoded<'a>, Refusal> {
        let decoded = match &mut self.state {
            State::Head(progress) => progress.decode(input, &self.limits),
            State::Length(left) => Ok(length_body(left, input)),
            State::Chunked(chunks) => chunks.decode(input),
            State::End => Ok(Decoded {
                used: 0,
                item: Item::End,
            }),
            State::Refused(refusal) => Err(*refusal),
        };
        match &decoded {
            Ok(Decoded {
                item: Item::Head(head),
                ..
            }) => {
                self.state = match head.body {
                    BodyLength::None | BodyLength::Length(0) => State::End,
                    BodyLength::Length(left) => State::Length(left),
                    BodyLength::Chunked => {
                        let late = chunked::LateField::Refused;
                        State::Chunked(chunked::Decoder::new(&self.limits, late))
                    }
                }
            }
            Ok(Decoded {
                item: Item::End, ..
            }) => self.state = State::START,
            Ok(_) => {}
            Err(refusal) => self.state = State::Refused(*refusal),
        }
        decoded
    }

    /// Lowers the limit for the body of the request whose head was just handed out. For a server
    /// whose limit depends on what is asked for: [`Limits::body_size`] is the highest then.
    ///
    /// # Errors
    /// A [`Refusal`] when the head announces a longer body. As after one of
    /// [`decode`](Self::decode), the stream can't be read any further.
    ///
    /// ```
    /// use http_framing::{Decoder, Limits};
    ///
    /// let mut decoder = Decoder::new(Limits::default());
    /// decoder.decode(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")?;
    /// assert!(decoder.limit_body(2).is_ok());
    /// assert_eq!(decoder.limit_body(1).unwrap_err().status().code(), 413);
    /// # Ok::<(), http_framing::Refusal>(())
    /// ```
    pub const fn limit_body(&mut self, size: u64) -> Result<(), Refusal> {
        match &mut self.state {
            State::Length(left) if *left > size => {
                self.state = State::Refused(BODY_TOO_LONG);
                Err(BODY_TOO_LONG)
            }
            State::Chunked(chunks) => {
                chunks.limit(size);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether nothing of the next request has come, not even an empty line.
    ///
    /// A caller that knows the bytes at the start of its input for a request without a body, because
    /// a decoder with the same limits has accepted exactly these before, may then skip them.
    ///
    /// ```
    /// use http_framing::{Decoder, Limits};
    ///
    /// let mut decoder = Decoder::new(Limits::default());
    /// assert!(decoder.is_at_start());
    /// decoder.decode(b"\r\n")?;
    /// assert!(!decoder.is_at_start());
    /// # Ok::<(), http_framing::Refusal>(())
    /// ```
    #[must_use]
    pub const fn is_at_start(&self) -> bool {
        matches!(
            &self.state,
            State::Head(Progress {
                searched: 0,
                empty_lines: 0,
                ..
            })
        )
    }

    /// What the connection waits for.
    ///
    /// ```
    /// use http_framing::{Decoder, Limits, Phase};
    ///
    /// let mut decoder = Decoder::new(Limits::default());
    /// assert_eq!(decoder.phase(), Phase::Idle);
    /// decoder.decode(b"GET / HT")?;
    /// assert_eq!(decoder.phase(), Phase::Head);
    /// # Ok::<(), http_framing::Refusal>(())
    /// ```
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match &self.state {
            State::Head(Progress { searched: 0, .. }) | State::Refused(_) => Phase::Idle,
            State::Head(_) => Phase::Head,
            State::Length(_) | State::Chunked(_) | State::End => Phase::Body,
        }
    }
}

impl State {
    const START: Self = Self::Head(Progress {
        searched: 0,
        parse_at: 0,
        empty_lines: 0,
    });
}

fn length_body<'a>(left: &mut u64, input: &'a [u8]) -> Decoded<'a> {
    let part = usize::try_from(*left)
        .ok()
        .and_then(|left| input.get(..left))
        .unwrap_or(input);
    let item = match part {
        _ if *left == 0 => Item::End,
        [] => Item::NeedMore,
        part => Item::Body(part),
    };
    *left -= part.len() as u64;
    Decoded {
        used: part.len(),
        item,
    }
}

impl Progress {
    fn decode<'a>(&mut self, input: &'a [u8], limits: &Limits) -> Result<Decoded<'a>, Refusal> {
        let skipped = match input.first() {
            Some(b'\r' | b'\n') if self.searched == 0 => self.skip_empty_lines(input)?,
            _ => 0,
        };
        let need_more = Decoded {
            used: skipped,
            item: Item::NeedMore,
        };
        let rest = input.get(skipped..).unwrap_or_default();
        if matches!(rest, [] | [b'\r']) {
            return Ok(need_more);
        }
        let window = rest.get(..limits.header_size).unwrap_or(rest);
        let first = self.searched == 0;
        if !first && !self.search(window, limits)? && window.len() < self.parse_at {
            return Ok(need_more);
        }
        if let Some((len, head)) = request::parse(window, limits)? {
            return Ok(Decoded {
                used: skipped + len,
                item: Item::Head(head),
            });
        }
        if first {
            self.search(window, limits)?;
        }
        self.parse_at = window.len().saturating_mul(2);
        Ok(need_more)
    }

    /// Counts the bytes of the empty lines at the start (RFC 9112 §2.2).
    #[cold]
    fn skip_empty_lines(&mut self, input: &[u8]) -> Result<usize, Refusal> {
        let mut rest = input;
        while let [b'\r', b'\n', tail @ ..] = rest {
            rest = tail;
            self.empty_lines += 1;
            if self.empty_lines > LEADING_EMPTY_LINES_MAX {
                return Err(Refusal::bad(
                    "too many empty lines stand before the request",
                ));
            }
        }
        match rest {
            [b'\n', ..] => Err(syntax::BARE_LF),
            [b'\r', _, ..] => Err(syntax::BARE_CR),
            _ => Ok(input.len() - rest.len()),
        }
    }

    /// Searches what is new in `window` for the empty line that ends the head, and refuses what
    /// can't become a head any more.
    fn search(&mut self, window: &[u8], limits: &Limits) -> Result<bool, Refusal> {
        let from = self.searched.min(window.len());
        self.searched = window.len();
        let new = window.get(from..).unwrap_or_default();
        for lf in memchr_iter(b'\n', new) {
            match window.get(..from + lf).unwrap_or_default() {
                [.., b'\r', b'\n', b'\r'] => return Ok(true),
                [.., b'\r'] => {}
                _ => return syntax::walk(window, limits),
            }
        }
        let line_max = limits.request_line();
        let line_is_due = from < line_max && window.len() >= line_max;
        if line_is_due || window.len() >= limits.header_size {
            syntax::walk(window, limits)?;
        }
        Ok(false)
    }
}
