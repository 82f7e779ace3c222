//! The server's role of a request: the native request, and how far its reply is.
//!
//! Owns: the native request once its peer has gone without a reply. All others are evhttp's,
//! which frees them when their reply is written or their connection ends.
//! Lends C nothing, runs no user code.

use std::cell::Cell;
use std::rc::Rc;

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
        slashed: bool,
        closes: bool,
    ) -> Rc<Self> {
        let request = Rc::new(Self::new(Role::Server(ServerRequest {
            place,
            server: Rc::clone(server),
            conn: Rc::clone(conn),
            progress: Cell::new(Progress::Waiting),
            slashed,
            closes,
        })));
        if let Some(conn) = conn.server() {
            conn.set_request(&request);
        }
        request
    }

    /// After the closure that got the request: watches for the end of its peer, if a close
    /// callback is set.
    pub(super) fn watch_for_close(&self) {
        if let Some(request) = self.server()
            && let Some(conn) = request.conn.server()
        {
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
    ) -> Result<Vec<(String, String)>> {
        let list = self.usable(call)?.headers(side);
        let pairs = list.iter();
        Ok(pairs
            .map(|(name, value)| (headers::text(name), headers::text(value)))
            .collect())
    }

    pub(super) fn find_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<Option<String>> {
        let name = headers::checked_name(call, name)?;
        let list = self.usable(call)?.headers(side);
        Ok(list.find(&name).map(headers::text))
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
            conn.close();
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

    /// Whether the peer has nothing of a reply yet.
    pub(super) fn waits_for_reply(&self) -> bool {
        self.progress.get() == Progress::Waiting
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
