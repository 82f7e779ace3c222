//! Replies to a server's requests, and the checks before them.
//!
//! Owns, lends to C: nothing. Runs no user code.
//!
//! evhttp sends whatever it is given: a second status line, a body that contradicts its length,
//! chunks without a head. So each step is checked before C is called.

use std::ffi::CString;

use php_event_macros::php;

use super::request::Role;
use super::server_connection::ServerConnection;
use super::server_request::{Progress, ServerRequest};
use super::{EventHttpRequest, headers, page};
use crate::buffer::EventBuffer;
use crate::error::{Error, Result};
use crate::flags::{HeaderSide, HttpMethods};
use crate::native::evhttp_request::RequestView;

/// The longest piece that goes out as one chunk: evhttp writes a chunk's size in 32 bits.
const CHUNK_MAX: usize = 1 << 30;

/// A request whose answer is to be changed.
struct Answer<'a> {
    call: &'static str,
    native: RequestView<'a>,
    request: &'a ServerRequest,
    conn: &'a ServerConnection,
}

impl EventHttpRequest {
    /// The answer of a server's request, if its peer is still there.
    fn answer(&self, call: &'static str) -> Result<Answer<'_>> {
        self.0.usable(call)?;
        let Some(request) = self.0.server() else {
            return Err(Error::State {
                call,
                reason: "a client's request has no reply; one of a server's callbacks has",
            });
        };
        let native = request.usable(call)?;
        let Some(conn) = request.connection_end().filter(|conn| conn.is_open()) else {
            request.give_up();
            return Err(Error::State {
                call,
                reason: "the client has gone",
            });
        };
        Ok(Answer {
            call,
            native,
            request,
            conn,
        })
    }

    /// As [`answer`](Self::answer), of which nothing is out.
    fn new_answer(&self, call: &'static str) -> Result<Answer<'_>> {
        let answer = self.answer(call)?;
        let reason = match answer.request.progress.get() {
            Progress::Waiting => return Ok(answer),
            Progress::Streaming { .. } => {
                "a reply has begun: go on with send_reply_chunk, end with send_reply_end"
            }
            Progress::Complete => "the request has its reply already",
        };
        Err(Error::State { call, reason })
    }

    /// Answers the request: a status, the headers that were added, and a body.
    ///
    /// The body is moved out of the buffer, after what is in
    /// [`get_output_buffer`](Self::get_output_buffer). `Date`, `Content-Length` and
    /// `Content-Type: text/html; charset=ISO-8859-1` are added where they are not set. To a
    /// `HEAD`, and with a status that has no body (204, 205, 304), none goes out: it is dropped.
    /// A request that was kept may be answered outside of its closure.
    ///
    /// # Errors
    /// [`Error::Argument`] for a status outside of 200 to 599, a control byte in the reason, and
    /// headers that contradict the body; [`Error::State`] for a second reply and when the client
    /// has gone, or the front of the body's buffer is frozen; [`Error::Freed`] when libevent
    /// has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// use php_event::EventBuffer;
    /// http.set_callback("/hello", |request| {
    ///     let body = EventBuffer::new().unwrap();
    ///     body.add("Hello!").unwrap();
    ///     request.send_reply(200, "OK", Some(&body)).unwrap();
    ///     assert!(request.send_reply(200, "OK", None).is_err());
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::sendReply",
        php_note = ", which checks nothing of this",
        c = "evhttp_send_reply"
    )]
    pub fn send_reply(&self, code: u16, reason: &str, body: Option<&EventBuffer>) -> Result<()> {
        let answer = self.new_answer(CALL)?;
        let reason = answer.checked_status(code, reason)?;
        let output = self.get_output_buffer();
        let body = body.filter(|body| *body != &output);
        let length = output.length() + body.map_or(0, EventBuffer::length);
        answer.check_headers(code, Some(length))?;
        let taken_out;
        let body = match body {
            Some(body) if body.calls_back() => {
                taken_out = taken(CALL, body)?;
                Some(&taken_out)
            }
            body => body,
        };
        let answer = self.new_answer(CALL)?; // again: a closure may have run
        if let Some(body) = body {
            output.add_buffer_as(CALL, body)?;
        }
        let length = output.length();
        answer.check_headers(code, Some(length))?;
        answer.frame(code, length)?;
        answer.announce_close()?;
        answer.request.progress.set(Progress::Complete);
        answer.native.send_reply(code, &reason);
        answer.request.replied(answer.conn);
        Ok(())
    }

    /// Answers the request with a small HTML page, and closes the connection after it.
    ///
    /// `None` gives the status's own phrase. Headers and body that were added are dropped.
    ///
    /// # Errors
    /// As [`send_reply`](Self::send_reply).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.send_error(503, Some("Come back later")).unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::sendError",
        php_note = ", which puts the reason into the page as it is, and sends the page to a `HEAD` too",
        c = "evhttp_send_error"
    )]
    pub fn send_error(&self, error: u16, reason: Option<&str>) -> Result<()> {
        let answer = self.new_answer(CALL)?;
        answer.checked_status(error, reason.unwrap_or_default())?;
        answer.fail(error, reason);
        Ok(())
    }

    /// Begins an answer whose body comes in pieces: status and headers go out.
    ///
    /// To an HTTP/1.1 client the body is chunked, unless a `Content-Length` was added; to an
    /// older one it ends with the connection.
    ///
    /// # Errors
    /// As [`send_reply`](Self::send_reply).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventBuffer, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_callback("/count", |request| {
    ///     let piece = EventBuffer::new().unwrap();
    ///     request.send_reply_start(200, "OK").unwrap();
    ///     for n in 1..=3 {
    ///         piece.add(format!("{n}\n")).unwrap();
    ///         request.send_reply_chunk(&piece).unwrap();
    ///     }
    ///     request.send_reply_end().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::sendReplyStart", c = "evhttp_send_reply_start")]
    pub fn send_reply_start(&self, code: u16, reason: &str) -> Result<()> {
        let answer = self.new_answer(CALL)?;
        let reason = answer.checked_status(code, reason)?;
        let announced = answer.check_headers(code, None)?;
        // evhttp would put it between the head and the chunks.
        let first = taken(CALL, &self.get_output_buffer())?;
        if announced.is_none() {
            answer.close_behind_body();
        }
        answer.announce_close()?;
        answer.request.progress.set(Progress::Streaming {
            body: page::has_body(answer.method(), code),
            left: announced,
        });
        answer.native.send_reply_start(code, &reason);
        answer.conn.allow_silence(); // evhttp reads now, which makes it cheaper
        answer.conn.keep_paused();
        answer.chunk(&first, answer.room(first.length())?)
    }

    /// Sends the next piece of an answer's body; the buffer is empty then. An empty buffer sends
    /// nothing.
    ///
    /// The bytes wait until the client takes them: they go out from the loop.
    ///
    /// # Errors
    /// [`Error::State`] before [`send_reply_start`](Self::send_reply_start), after
    /// [`send_reply_end`](Self::send_reply_end), when the client has gone, and when the front of
    /// the buffer is frozen; [`Error::Argument`] beyond the `Content-Length` that was added;
    /// [`Error::Freed`] when libevent has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.send_reply_start(200, "OK").unwrap();
    ///     request.send_reply_chunk(&request.get_input_buffer()).unwrap();
    ///     request.send_reply_end().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php(
        "EventHttpRequest::sendReplyChunk",
        php_note = "; without a start it sends bytes without a status, and to a client that has gone it says nothing",
        c = "evhttp_send_reply_chunk"
    )]
    pub fn send_reply_chunk(&self, buf: &EventBuffer) -> Result<()> {
        self.answer(CALL)?.room(buf.length())?;
        let piece = taken(CALL, buf)?;
        let answer = self.answer(CALL)?; // again: a closure may have run
        answer.chunk(&piece, answer.room(piece.length())?)
    }

    /// Ends an answer that [`send_reply_start`](Self::send_reply_start) began.
    ///
    /// # Errors
    /// [`Error::State`] before the start, a second time, and when the client has gone, or has
    /// got less than the `Content-Length` that was added: then the connection is closed, so that
    /// it can see that; [`Error::Freed`] when libevent has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.send_reply_start(200, "OK").unwrap();
    ///     request.send_reply_end().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::sendReplyEnd", c = "evhttp_send_reply_end")]
    pub fn send_reply_end(&self) -> Result<()> {
        let answer = self.answer(CALL)?;
        let (body, left) = answer.streaming()?;
        if body && left.is_some_and(|left| left > 0) {
            answer.conn.close();
            return Err(Error::State {
                call: CALL,
                reason: "the body is shorter than its Content-Length; the connection was closed",
            });
        }
        answer.request.progress.set(Progress::Complete);
        answer.native.send_reply_end();
        answer.request.replied(answer.conn);
        Ok(())
    }

    /// Closes the connection at once, without an answer, or in the middle of one.
    ///
    /// A client that has gone is closed already: nothing happens. A client's own request is
    /// [cancelled](Self::cancel).
    ///
    /// # Errors
    /// [`Error::Freed`] when libevent has freed the request; [`Error::Forked`].
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.close_connection().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::closeConnection", c = "evhttp_connection_free")]
    pub fn close_connection(&self) -> Result<()> {
        self.0.usable(CALL)?;
        match &self.0.role {
            Role::Server(request) => request.close_connection(),
            Role::Client(request) => request.cancel(&self.0),
        }
        Ok(())
    }

    /// Gives a request up.
    ///
    /// On a server the client gets a 400, and the connection is closed. A client's request that
    /// is under way ends without an answer: its closure is not called, its connection is closed
    /// if it was sent already, and the others that wait go on. One that is not under way stays as
    /// it is.
    ///
    /// # Errors
    /// As [`send_reply`](Self::send_reply).
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttp};
    /// # let http = EventHttp::new(&EventBase::new()?)?;
    /// http.set_default_callback(|request| {
    ///     request.cancel().unwrap();
    /// })?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[php("EventHttpRequest::cancel", c = "evhttp_cancel_request")]
    pub fn cancel(&self) -> Result<()> {
        if let Role::Client(request) = &self.0.role {
            request.usable(CALL)?;
            request.cancel(&self.0);
            return Ok(());
        }
        self.new_answer(CALL)?.fail(400, None);
        Ok(())
    }
}

impl Answer<'_> {
    fn method(&self) -> HttpMethods {
        self.native.method()
    }

    /// The reason for C, if it may stand on a status line, and the status is a final one.
    fn checked_status(&self, code: u16, reason: &str) -> Result<CString> {
        if !(200..=599).contains(&code) {
            let reason = format!("{code} is not the status of a reply; give one from 200 to 599");
            return Err(Error::argument(self.call, reason));
        }
        headers::checked_line(self.call, "reason", reason)
    }

    /// Refuses headers that contradict the body, whose `length` may not be known yet; returns the
    /// length that they announce.
    fn check_headers(&self, code: u16, length: Option<usize>) -> Result<Option<u64>> {
        let list = self.native.headers(HeaderSide::Output);
        let refused = |reason: &'static str| Err(Error::argument(self.call, reason));
        let mut announced = None;
        for (name, value) in list.iter() {
            if name.eq_ignore_ascii_case(b"Transfer-Encoding") {
                return refused("Transfer-Encoding was added: a reply is chunked by itself");
            }
            if !name.eq_ignore_ascii_case(b"Content-Length") {
                continue;
            }
            let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
            match headers::text(value).parse::<u64>() {
                Ok(length) if digits && announced.is_none() => announced = Some(length),
                Ok(_) if digits => return refused("Content-Length was added twice"),
                _ => return refused("the Content-Length that was added is not a number"),
            }
        }
        match announced {
            Some(1..) if matches!(code, 204 | 205) => {
                refused("Content-Length was added, but the status has no body")
            }
            Some(announced)
                if page::has_body(self.method(), code)
                    && length.is_some_and(|length| u64::try_from(length) != Ok(announced)) =>
            {
                refused("the Content-Length that was added is not the body's")
            }
            announced => Ok(announced),
        }
    }

    /// Drops a body that must not be sent, and adds the length where evhttp does not.
    fn frame(&self, code: u16, length: usize) -> Result<()> {
        let method = self.method();
        if !page::has_body(method, code) {
            self.native.output(self.call).drain(length)?;
        }
        let silent = method == HttpMethods::HEAD && length > 0 && !matches!(code, 204 | 205 | 304);
        let mut list = self.native.headers(HeaderSide::Output);
        if silent && list.find(c"Content-Length").is_none() {
            let length = headers::checked_line(self.call, "length", length.to_string())?;
            list.add(self.call, c"Content-Length", &length)?;
        }
        Ok(())
    }

    /// Has a body without a length end with the connection, to a client that knows no chunks:
    /// if such a one asks to keep the connection, evhttp announces a length of 0 and sends the
    /// body after it.
    fn close_behind_body(&self) {
        if page::asks_to_be_kept(&self.native) {
            page::forget_keep_alive(&self.native);
        }
    }

    /// Says that the connection closes after the reply, where evhttp does not, and keeps evhttp
    /// from adding that it is kept.
    fn announce_close(&self) -> Result<()> {
        if self.request.closes {
            return page::announce_close(self.call, &self.native);
        }
        if page::says_close(&self.native) {
            page::forget_keep_alive(&self.native);
        }
        Ok(())
    }

    fn streaming(&self) -> Result<(bool, Option<u64>)> {
        let reason = match self.request.progress.get() {
            Progress::Streaming { body, left } => return Ok((body, left)),
            Progress::Waiting => "no reply has begun: call send_reply_start first",
            Progress::Complete => "the request has its reply already",
        };
        Err(Error::State {
            call: self.call,
            reason,
        })
    }

    /// The progress after `length` more bytes of the body, if they fit.
    fn room(&self, length: usize) -> Result<Progress> {
        let (body, left) = self.streaming()?;
        let left = match left {
            Some(left) if body => {
                let length = u64::try_from(length).unwrap_or(u64::MAX);
                Some(left.checked_sub(length).ok_or_else(|| {
                    let reason = "the body is longer than the Content-Length that was added";
                    Error::argument(self.call, reason)
                })?)
            }
            left => left,
        };
        Ok(Progress::Streaming { body, left })
    }

    /// Sends a piece of the body.
    fn chunk(&self, piece: &EventBuffer, then: Progress) -> Result<()> {
        self.request.progress.set(then);
        if !matches!(then, Progress::Streaming { body: true, .. }) {
            return Ok(());
        }
        let part = EventBuffer::new()?;
        while part.append_from(piece, CHUNK_MAX)? > 0 {
            part.change_bytes(self.call, |part| {
                self.native.send_reply_chunk(&part);
                Ok(())
            })?;
        }
        self.conn.keep_paused();
        Ok(())
    }

    fn fail(self, code: u16, reason: Option<&str>) {
        self.request.progress.set(Progress::Complete);
        page::send(self.native, code, reason, None);
        self.request.replied(self.conn);
    }
}

/// What is in a buffer, taken out of it. Where that is a buffer event's, its closures may run.
fn taken(call: &'static str, buffer: &EventBuffer) -> Result<EventBuffer> {
    let taken = EventBuffer::new()?;
    taken.add_buffer_as(call, buffer)?;
    Ok(taken)
}
