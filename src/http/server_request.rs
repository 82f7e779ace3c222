//! The server's role of a request: the native request, and how far its reply is.
//!
//! Owns: the native request once its peer has gone without a reply. All others are evhttp's,
//! which frees them when their reply is written or their connection ends.
//! Lends C nothing, runs no user code.

use std::cell::Cell;
use std::ffi::CString;
use std::rc::Rc;

use super::body::{Body, BodyCallback};
use super::gate::{Passed, Streamed};
use super::request::{self, Role, freed};
use super::server_connection::ServerConnection;
use super::{connection, headers, page, server};
use crate::buffer::Side;
use crate::error::{Error, Result};
use crate::flags::{HeaderSide, HttpMethods};
use crate::native::evbuffer::BufferView;
use crate::native::evhttp_request::{OwnedRequest, RequestPlace, RequestView};
use crate::{EventBufferEvent, base};

/// A request that a server was sent.
pub(crate) struct ServerRequest {
    pub(super) place: RequestPlace,
    server: Rc<server::Inner>, // keeps the native server, whose the request is
    conn: Rc<connection::Inner>,
    pub(super) progress: Cell<Progress>,
    slashed: bool, // the target was sent with `//` where evhttp has `/%2F`
    pub(super) body: Body,
    /// evhttp closes the connection after the reply, and does not say so.
    pub(super) closes: bool,
}

/// The target as it was sent.
pub(super) fn target(request: &RequestView<'_>, slashed: bool) -> Option<String> {
    let target = headers::text(request.target()?);
    match target.strip_prefix("/%2F").filter(|_| slashed) {
        Some(rest) => Some(format!("//{rest}")),
        None => Some(target),
    }
}

/// Puts back the field that announces the body, which evhttp was not given.
pub(super) fn restore_length(request: &RequestView<'_>, streamed: Streamed) {
    const CALL: &str = "EventHttp";
    let mut list = request.headers(HeaderSide::Input);
    // What fails here fails for lack of memory, and the body comes all the same.
    match streamed.length {
        Some(length) => {
            let length = CString::new(length.to_string()).unwrap_or_default();
            list.add(CALL, c"Content-Length", &length).ok();
        }
        None => {
            list.add(CALL, c"Transfer-Encoding", c"chunked").ok();
        }
    }
}

/// How far the reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// No reply yet.
    Waiting,
    /// The head is out, the end is not.
    Streaming {
        /// Whether a body goes out.
        body: bool,
        /// What is missing of the length that the head announces.
        left: Option<u64>,
    },
    /// The reply is complete.
    Complete,
}

impl request::Inner {
    /// The request that evhttp has just shown to `server`.
    pub(super) fn of_server(
        place: RequestPlace,
        server: &Rc<server::Inner>,
        conn: &Rc<connection::Inner>,
        passed: Passed,
        closes: bool,
    ) -> Rc<Self> {
        let request = Rc::new(Self::new(Role::Server(ServerRequest {
            place,
            server: Rc::clone(server),
            conn: Rc::clone(conn),
            progress: Cell::new(Progress::Waiting),
            slashed: passed.slashed,
            body: Body::new(passed.streamed.is_none()),
            closes,
        })));
        if let Some(conn) = conn.server() {
            conn.set_request(&request);
        }
        if passed.streamed.is_some()
            && let Some(own) = request.server()
        {
            own.body.watch(&request);
        }
        request
    }

    /// After the closure that got the request: lets a body come that is streamed, or else watches
    /// for the end of the peer, if a close callback is set.
    pub(super) fn shown(self: &Rc<Self>) {
        if let Some(request) = self.server()
            && let Some(conn) = request.conn.server()
        {
            conn.start_body(self);
            conn.watch_for_close(&request.conn);
        }
    }
}

/// What the class asks of its role.
impl ServerRequest {
    /// The native request, if C may be called with it.
    pub(super) fn usable(&self, call: &'static str) -> Result<RequestView<'_>> {
        self.server.base.usable(call)?;
        self.place.view().ok_or_else(|| freed(call))
    }

    pub(super) fn command(&self, call: &'static str) -> Result<HttpMethods> {
        Ok(self.usable(call)?.method())
    }

    pub(super) fn uri(&self, call: &'static str) -> Result<Option<String>> {
        Ok(target(&self.usable(call)?, self.slashed))
    }

    pub(super) fn host(&self, call: &'static str) -> Result<Option<String>> {
        Ok(self.usable(call)?.host().map(headers::text))
    }

    pub(super) fn response_code(&self, call: &'static str) -> Result<u16> {
        Ok(self.usable(call)?.response_code())
    }

    pub(super) fn headers(
        &self,
        call: &'static str,
        side: HeaderSide,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let list = self.usable(call)?.headers(side);
        let pairs = list.iter();
        Ok(pairs
            .map(|(name, value)| (headers::text(name), value.to_vec()))
            .collect())
    }

    pub(super) fn find_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<Option<Vec<u8>>> {
        let name = headers::checked_name(call, name)?;
        let list = self.usable(call)?.headers(side);
        Ok(list.find(&name).map(<[u8]>::to_vec))
    }

    pub(super) fn add_header(
        &self,
        call: &'static str,
        name: &str,
        value: &[u8],
        side: HeaderSide,
    ) -> Result<()> {
        let name = headers::checked_name(call, name)?;
        let value = headers::checked_line(call, "header value", value)?;
        let request = self.changeable(call, side)?;
        request.headers(side).add(call, &name, &value)
    }

    pub(super) fn remove_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<bool> {
        let name = headers::checked_name(call, name)?;
        let request = self.changeable(call, side)?;
        Ok(request.headers(side).remove(&name))
    }

    pub(super) fn clear_headers(&self, call: &'static str) -> Result<()> {
        let request = self.changeable(call, HeaderSide::Output)?;
        request.headers(HeaderSide::Output).clear();
        Ok(())
    }

    pub(super) fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let request = self.usable(call)?;
        Ok(match side {
            Side::Input => request.input(call),
            Side::Output => request.output(call),
        })
    }

    pub(super) fn connection(&self) -> Option<Rc<connection::Inner>> {
        self.is_connected().then(|| Rc::clone(&self.conn))
    }

    pub(super) fn buffer_event(&self) -> Option<EventBufferEvent> {
        self.conn.server()?.view(&self.server.base)
    }

    /// Closes the connection, if it is still there.
    pub(super) fn close_connection(&self) {
        self.conn.close();
    }

    /// The last handle went: a peer that waits gets an error, and one in the middle of a reply
    /// must not take it for whole.
    pub(super) fn end(&self) {
        self.body.unwatch(self);
        let Some(conn) = self.conn.server() else {
            return;
        };
        if !conn.is_open() {
            return self.give_up();
        }
        let Some(request) = self.place.view() else {
            return;
        };
        if self.server.base.is_foreign() {
            // The connection has it, and is freed with the server.
        } else if conn.is_inherited() {
            conn.close(); // the parent replies
        } else if self.progress.get() == Progress::Waiting {
            page::send(request, 500, None, None);
            self.replied(conn);
        } else if self.progress.get() != Progress::Complete {
            conn.cut();
        }
    }
}

impl ServerRequest {
    /// The request for a change of a header list: not of a head that has gone out.
    fn changeable(&self, call: &'static str, side: HeaderSide) -> Result<RequestView<'_>> {
        let request = self.usable(call)?;
        if side == HeaderSide::Output && self.progress.get() != Progress::Waiting {
            return Err(Error::State {
                call,
                reason: "the headers of the reply have gone out already",
            });
        }
        Ok(request)
    }

    /// Sets the closure for the body.
    pub(super) fn set_body_callback(
        &self,
        call: &'static str,
        request: &Rc<request::Inner>,
        callback: Box<BodyCallback>,
    ) -> Result<()> {
        self.usable(call)?;
        let refused = |reason| Err(Error::State { call, reason });
        if self.body.is_over() || self.progress.get() == Progress::Complete {
            return refused("the body is over, or the request has its reply already");
        }
        if self.server.is_closing() {
            return refused("the last handle of the server has gone, and its closures with it");
        }
        let former = self.body.set(callback);
        if !self.body.is_coming() && self.view(call, Side::Input)?.length() > 0 {
            self.body.arrived();
        }
        if self.body.is_coming()
            && let Some(conn) = self.conn.server()
        {
            conn.hold(request);
            conn.ask_for_body(self);
        }
        if self.body.has_news() {
            self.tell_body(request);
        }
        drop(former); // no borrow is held: captured values may run user code
        Ok(())
    }

    /// Has a turn of the loop tell the closure what is new of the body; not once the server's
    /// last handle has gone.
    pub(super) fn tell_body(&self, request: &Rc<request::Inner>) -> bool {
        if self.server.is_closing() {
            return false;
        }
        if self.body.queue() {
            self.server
                .defer(server::Deferred::Body(Rc::clone(request)));
        }
        true
    }

    /// Closes the connection in a turn of the loop.
    pub(super) fn close_soon(&self) {
        let conn = Rc::clone(&self.conn);
        self.server.defer(server::Deferred::Close(conn));
    }

    /// Replies to a request whose body was refused, or cuts its reply off.
    pub(super) fn refuse_body(&self, code: u16, reason: &str) {
        let Some(conn) = self.conn.server().filter(|conn| conn.is_open()) else {
            return;
        };
        match (self.progress.get(), self.place.view()) {
            (Progress::Waiting, Some(request)) => {
                self.progress.set(Progress::Complete);
                page::send(request, code, None, Some(reason));
                self.replied(conn);
            }
            (Progress::Streaming { .. }, _) => conn.close(),
            _ => {}
        }
    }

    /// After the closure has run: reads while there is room, or watches for the peer's end.
    pub(super) fn body_was_told(&self) {
        if let Some(conn) = self.conn.server() {
            conn.adjust_reading(self);
            conn.watch_for_close(&self.conn);
        }
    }

    /// Something was taken out of the buffer with the body.
    pub(super) fn body_was_taken(&self) {
        if let Some(conn) = self.conn.server() {
            conn.adjust_reading(self);
        }
    }

    /// The count of the request that its connection keeps.
    pub(super) fn let_go(&self) -> Option<Rc<request::Inner>> {
        self.conn.server()?.let_go()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.conn.server().is_some_and(ServerConnection::is_open)
    }

    /// The server's end of the connection.
    pub(super) fn connection_end(&self) -> Option<&ServerConnection> {
        self.conn.server()
    }

    /// The reply is complete; what libevent does with it now needs the server.
    pub(super) fn replied(&self, conn: &ServerConnection) {
        conn.replied();
        if conn.is_replying() {
            self.server.linger();
        }
    }

    pub(super) fn has_reply(&self) -> bool {
        self.progress.get() == Progress::Complete
    }

    /// Whether the peer has nothing of a reply yet.
    pub(super) fn waits_for_reply(&self) -> bool {
        self.progress.get() == Progress::Waiting
    }

    /// Whether no part of the reply is missing that the peer would wait for: it has begun, and
    /// is not complete.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.progress.get(), Progress::Streaming { .. })
    }

    /// evhttp is about to free the connection: the request as well, unless it was taken off the
    /// connection before.
    pub(super) fn connection_ends(&self) {
        if self
            .place
            .view()
            .is_some_and(|request| request.has_connection())
        {
            self.place.clear();
        }
    }

    /// Frees a native request whose connection has ended.
    pub(super) fn give_up(&self) {
        if let Some(request) = self.place.take_orphan() {
            self.server.base.end(Remains(request));
        }
    }
}

/// A native request that is ours to free.
struct Remains(OwnedRequest);

impl base::Remains for Remains {
    fn free(self, _base: &base::Inner) {
        drop(self.0);
    }
}
