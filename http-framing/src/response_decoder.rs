//! Reads the answer to one request, as strictly as [`Decoder`](crate::Decoder) reads requests.

mod head;

use self::head::{Found, Lines};
use super::{Limits, Method, Refusal, Status, Version, chunked};

pub use self::head::FieldLines;

/// Interim responses (1xx) to one request. A server that reports its progress every 20 seconds
/// (102, RFC 2518 §10.1) has half an hour; a stream of them holds a client for nothing.
pub const INTERIM_RESPONSES_MAX: u8 = 100;

/// How the body that follows a response head is delimited (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResponseBody {
    /// There is none, whatever the fields say: the request was `HEAD`, a `CONNECT` succeeded, or
    /// the status is 1xx, 204 or 304.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Everything up to the end of the connection.
    UntilClose,
}

/// One response head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead<'a> {
    /// The version.
    pub version: Version,
    /// The status code, from 100 to 999.
    pub status: u16,
    /// The reason phrase, which may be empty and means nothing.
    pub reason: &'a [u8],
    /// The fields, in their order.
    pub fields: FieldLines<'a>,
    /// How the body is delimited.
    pub body: ResponseBody,
    /// Whether another request may follow over the connection.
    pub keep_alive: bool,
}

/// What [`ResponseDecoder::decode`] found at the start of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseItem<'a> {
    /// Nothing to hand out before more bytes come.
    NeedMore,
    /// An interim response (1xx): the final one is still to come, and none of these fields
    /// belongs to it.
    Interim(ResponseHead<'a>),
    /// The final response begins.
    Head(ResponseHead<'a>),
    /// The next part of its body, never empty.
    Body(&'a [u8]),
    /// The response is complete. Bytes that follow belong to no request.
    End,
}

/// One item, and how many bytes of the input it used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseDecoded<'a> {
    /// Bytes to drop from the front of the input before the next call.
    pub used: usize,
    /// What they were.
    pub item: ResponseItem<'a>,
}

/// Why a response is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// A head breaks the grammar, or the length of its body is not certain.
    #[error("{0}")]
    Head(&'static str),
    /// A head is longer than the limit.
    #[error("the head is longer than the limit")]
    HeadTooLong,
    /// The chunks of the body, or the trailer fields after them, break the grammar.
    #[error("{0}")]
    Body(&'static str),
    /// The body is longer than the limit.
    #[error("the body is longer than the limit")]
    BodyTooLong,
    /// The connection ended too early.
    #[error("the connection ended before the response was complete")]
    Incomplete,
}

/// Reads the response to one request from the bytes of a connection.
///
/// The caller keeps the bytes. It passes those not used yet, drops as many as
/// [`ResponseDecoded::used`] says, and passes the rest again with what has arrived since. A
/// response gives at most [`INTERIM_RESPONSES_MAX`] times [`ResponseItem::Interim`], one
/// [`ResponseItem::Head`], any number of [`ResponseItem::Body`], and [`ResponseItem::End`]. The
/// work is linear in the bytes however they are cut.
///
/// A length together with a transfer coding, two lengths, a coding other than `chunked`, bare LFs,
/// folded lines and control bytes are refused, though RFC 9112 lets a client repair some of them.
/// Trailer fields are checked and dropped, `Content-Length` and other framing fields among them:
/// they are not part of the head, and the body has ended before them (RFC 9110 §6.5.1).
///
/// # Examples
/// ```
/// use http_framing::{Limits, Method, ResponseDecoder, ResponseItem};
///
/// let mut input: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
///     HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
/// let mut decoder = ResponseDecoder::new(Limits::default(), Method::Get);
/// let mut body = Vec::new();
/// loop {
///     let decoded = decoder.decode(input)?;
///     input = &input[decoded.used..];
///     match decoded.item {
///         ResponseItem::Interim(head) => assert_eq!(head.status, 103),
///         ResponseItem::Head(head) => {
///             assert_eq!(head.status, 200);
///             assert_eq!(head.fields.collect::<Vec<_>>(), [("Content-Length", &b"2"[..])]);
///         }
///         ResponseItem::Body(part) => body.extend_from_slice(part),
///         ResponseItem::End | ResponseItem::NeedMore => break,
///     }
/// }
/// assert_eq!(body, b"hi");
/// # Ok::<(), http_framing::ResponseError>(())
/// ```
#[derive(Debug)]
pub struct ResponseDecoder {
    state: State,
    limits: Limits,
    request: Request,
    /// Interim responses that may still come, and the bytes that they may have together.
    interim_left: u8,
    interim_bytes_left: usize,
}

/// What of a request decides how its response is read.
#[derive(Clone, Copy, Debug)]
struct Request {
    method: Method,
    upgrade: bool,
}

#[derive(Debug)]
enum State {
    Head(Lines),
    Length(u64),
    Chunked(chunked::Decoder),
    /// With the bytes that may still come before the body is too long.
    UntilClose(u64),
    End,
    Failed(ResponseError),
}

impl ResponseDecoder {
    /// A decoder for the response to a request with this method.
    ///
    /// `limits` hold for each head, for all interim heads together, and for the body.
    #[must_use]
    pub const fn new(limits: Limits, method: Method) -> Self {
        Self {
            state: State::Head(Lines::START),
            limits,
            request: Request {
                method,
                upgrade: false,
            },
            interim_left: INTERIM_RESPONSES_MAX,
            interim_bytes_left: limits.header_size,
        }
    }

    /// The request has an `Upgrade` field: a 101 is the final response, and what follows it is
    /// not HTTP. Without this, a 101 is refused.
    #[must_use]
    pub const fn with_upgrade(mut self) -> Self {
        self.request.upgrade = true;
        self
    }

    /// Says what is at the start of `input`.
    ///
    /// [`ResponseItem::NeedMore`] may have used bytes, too. [`ResponseItem::End`] needs none, and
    /// comes again when it is asked for again. The items borrow from `input`.
    ///
    /// # Errors
    /// A [`ResponseError`] when the response is not acceptable. The connection is to be closed,
    /// and every later call gives the same error.
    pub fn decode<'a>(&mut self, input: &'a [u8]) -> Result<ResponseDecoded<'a>, ResponseError> {
        let decoded = self.step(input);
        if let Err(error) = &decoded {
            self.state = State::Failed(*error);
        }
        decoded
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> Result<ResponseDecoded<'a>, ResponseError> {
        match &mut self.state {
            State::Head(lines) => match lines.decode(input, self.limits.header_size)? {
                Some(found) => self.head(&found),
                None => Ok(need_more(0)),
            },
            State::Length(0) => {
                self.state = State::End;
                Ok(end(0))
            }
            State::Length(left) => Ok(part_of_body(left, input)),
            State::UntilClose(0) if !input.is_empty() => Err(ResponseError::BodyTooLong),
            State::UntilClose(left) => Ok(part_of_body(left, input)),
            State::Chunked(chunks) => {
                let decoded = chunks.decode(input).map_err(of_chunks)?;
                let item = match decoded.item {
                    super::Item::Body(part) => ResponseItem::Body(part),
                    super::Item::End => {
                        self.state = State::End;
                        ResponseItem::End
                    }
                    super::Item::NeedMore | super::Item::Head(_) => ResponseItem::NeedMore,
                };
                let used = decoded.used;
                Ok(ResponseDecoded { used, item })
            }
            State::End => Ok(end(0)),
            State::Failed(error) => Err(*error),
        }
    }

    /// The connection has ended: returns whether that completes the response.
    ///
    /// Over TLS only a `close_notify` may count as the end (RFC 9112 §9.8).
    ///
    /// # Errors
    /// [`ResponseError::Incomplete`] when more was to come, or the error that
    /// [`decode`](Self::decode) gave before.
    ///
    /// # Examples
    /// ```
    /// use http_framing::{Limits, Method, ResponseDecoder, ResponseError, ResponseItem};
    ///
    /// let mut decoder = ResponseDecoder::new(Limits::default(), Method::Get);
    /// assert_eq!(decoder.end_of_input(), Err(ResponseError::Incomplete));
    /// let head = b"HTTP/1.0 200 OK\r\n\r\n";
    /// assert!(matches!(decoder.decode(head)?.item, ResponseItem::Head(_)));
    /// assert_eq!(decoder.decode(b"hi")?.item, ResponseItem::Body(b"hi"));
    /// assert_eq!(decoder.end_of_input(), Ok(()));
    /// # Ok::<(), ResponseError>(())
    /// ```
    pub const fn end_of_input(&mut self) -> Result<(), ResponseError> {
        match &self.state {
            State::UntilClose(_) | State::End | State::Length(0) => {
                self.state = State::End;
                Ok(())
            }
            State::Failed(error) => Err(*error),
            State::Head(_) | State::Length(_) | State::Chunked(_) => Err(ResponseError::Incomplete),
        }
    }

    /// A head is complete: counts it if it is an interim one, and prepares for what follows.
    fn head<'a>(&mut self, found: &Found<'a>) -> Result<ResponseDecoded<'a>, ResponseError> {
        let used = found.len;
        let upgraded = found.status == 101 && self.request.upgrade;
        if matches!(found.status, 100..=199) && !upgraded {
            return self.interim(found);
        }
        let body = self.body(found)?;
        self.state = match body {
            ResponseBody::None => State::End,
            ResponseBody::Length(length) => State::Length(length),
            ResponseBody::Chunked => {
                let late = chunked::LateField::Dropped;
                State::Chunked(chunked::Decoder::new(&self.limits, late))
            }
            ResponseBody::UntilClose => State::UntilClose(self.limits.body_size),
        };
        let stays = !upgraded && body != ResponseBody::UntilClose;
        let keep_alive = found.keep_alive()? && stays;
        let item = ResponseItem::Head(found.head(body, keep_alive));
        Ok(ResponseDecoded { used, item })
    }

    fn interim<'a>(&mut self, found: &Found<'a>) -> Result<ResponseDecoded<'a>, ResponseError> {
        if found.status == 101 {
            return Err(ResponseError::Head(
                "the server switches protocols, which the request did not ask for",
            ));
        }
        self.interim_left = self.interim_left.checked_sub(1).ok_or(ResponseError::Head(
            "the server sends interim responses only",
        ))?;
        self.interim_bytes_left = self
            .interim_bytes_left
            .checked_sub(found.len)
            .ok_or(ResponseError::HeadTooLong)?;
        self.state = State::Head(Lines::START);
        let (used, head) = (found.len, found.head(ResponseBody::None, true));
        let item = ResponseItem::Interim(head);
        Ok(ResponseDecoded { used, item })
    }

    /// RFC 9112 §6.3, without its second chances.
    fn body(&self, found: &Found<'_>) -> Result<ResponseBody, ResponseError> {
        let bodyless = match self.request.method {
            Method::Head => true,
            Method::Connect => matches!(found.status, 200..=299),
            _ => false,
        };
        if bodyless || matches!(found.status, 101 | 204 | 304) {
            return Ok(ResponseBody::None);
        }
        found.body(self.limits.body_size)
    }
}

/// The next part of a body of which `left` bytes are still to come, or may come.
fn part_of_body<'a>(left: &mut u64, input: &'a [u8]) -> ResponseDecoded<'a> {
    let part = usize::try_from(*left)
        .ok()
        .and_then(|left| input.get(..left))
        .unwrap_or(input);
    if part.is_empty() {
        return need_more(0);
    }
    *left -= part.len() as u64;
    ResponseDecoded {
        used: part.len(),
        item: ResponseItem::Body(part),
    }
}

const fn need_more<'a>(used: usize) -> ResponseDecoded<'a> {
    let item = ResponseItem::NeedMore;
    ResponseDecoded { used, item }
}

const fn end<'a>(used: usize) -> ResponseDecoded<'a> {
    let item = ResponseItem::End;
    ResponseDecoded { used, item }
}

/// The chunk decoder words its reasons for the client of a server.
fn of_chunks(refusal: Refusal) -> ResponseError {
    match refusal.status() {
        Status::ContentTooLarge => ResponseError::BodyTooLong,
        Status::RequestHeaderFieldsTooLarge => {
            ResponseError::Body("the trailer fields are too long or too many")
        }
        _ => ResponseError::Body(refusal.reason()),
    }
}

#[cfg(test)]
mod tests;
