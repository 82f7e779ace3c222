//! The server's role of a request: the native request, and how far its answer is.
//!
//! Owns: nothing of C's. The native request is evhttp's, which frees it when its answer is
//! written or its connection ends; one whose peer went before its answer is ours to free.
//! Lends nothing to C, runs no user code.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use super::request::{self, Role, freed};
use super::{connection, headers, page, server};
use crate::buffer::Side;
use crate::error::{Error, Result};
use crate::flags::{HeaderSide, HttpMethods};
use crate::native::evbuffer::{Access, BufferView};
use crate::runtime::error::cvt_owned;
use crate::{EventBufferEvent, base, ffi};

/// A request that a server was sent.
pub(crate) struct ServerRequest {
    raw: Cell<*mut ffi::evhttp_request>, // null once evhttp has freed it, or has it back
    server: Rc<server::Inner>,           // keeps the `evhttp` alive, whose the native request is
    pub(super) conn: Rc<connection::Inner>,
    pub(super) progress: Cell<Progress>,
}

/// How far the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// No answer yet.
    Waiting,
    /// The head is out, the end is not.
    Streaming {
        /// Whether a body goes out.
        body: bool,
        /// What is missing of the length that the head announces.
        left: Option<u64>,
    },
    /// The answer is complete.
    Answered,
}

impl request::Inner {
    /// The request that a server was just shown.
    ///
    /// # Safety
    /// `raw` is live, and belongs to `conn`.
    pub(super) unsafe fn of_server(
        raw: *mut ffi::evhttp_request,
        server: &Rc<server::Inner>,
        conn: &Rc<connection::Inner>,
    ) -> Rc<Self> {
        let request = Rc::new(Self::new(Role::Server(ServerRequest {
            raw: Cell::new(raw),
            server: Rc::clone(server),
            conn: Rc::clone(conn),
            progress: Cell::new(Progress::Waiting),
        })));
        conn.peer().set_current(&request);
        request
    }
}

/// What the class asks of its role.
impl ServerRequest {
    /// The native request, if C may be called with it.
    pub(super) fn usable(&self, call: &'static str) -> Result<*mut ffi::evhttp_request> {
        self.server.base.usable(call)?;
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(freed(call));
        }
        Ok(raw)
    }

    pub(super) fn command(&self, call: &'static str) -> Result<HttpMethods> {
        let raw = self.usable(call)?;
        // SAFETY: `usable` gives a request that C has not freed.
        let command = unsafe { ffi::evhttp_request_get_command(raw) };
        Ok(HttpMethods::from_bits_retain(command))
    }

    pub(super) fn uri(&self, call: &'static str) -> Result<Option<String>> {
        let raw = self.usable(call)?;
        // SAFETY: `usable` gives a request that C has not freed.
        let uri = unsafe { ffi::evhttp_request_get_uri(raw) };
        // SAFETY: the request's own copy.
        Ok(unsafe { headers::text(uri) })
    }

    pub(super) fn host(&self, call: &'static str) -> Result<Option<String>> {
        let raw = self.usable(call)?;
        // SAFETY: `usable` gives a request that C has not freed.
        let host = unsafe { ffi::evhttp_request_get_host(raw) };
        // SAFETY: the request's own copy.
        Ok(unsafe { headers::text(host) })
    }

    pub(super) fn response_code(&self, call: &'static str) -> Result<u16> {
        let raw = self.usable(call)?;
        // SAFETY: `usable` gives a request that C has not freed.
        let code = unsafe { ffi::evhttp_request_get_response_code(raw) };
        Ok(code.try_into().unwrap_or(0))
    }

    pub(super) fn headers(
        &self,
        call: &'static str,
        side: HeaderSide,
    ) -> Result<Vec<(String, String)>> {
        let list = self.list(call, side)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        Ok(unsafe { headers::all(list) })
    }

    pub(super) fn find_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<Option<String>> {
        let name = headers::checked_name(call, name)?;
        let list = self.list(call, side)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        Ok(unsafe { headers::find(list, &name) })
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
        let list = self.list_to_change(call, side)?;
        // SAFETY: `list_to_change` gives one of a request that C has not freed.
        unsafe { headers::append(call, list, &name, &value) }
    }

    pub(super) fn remove_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<bool> {
        let name = headers::checked_name(call, name)?;
        let list = self.list_to_change(call, side)?;
        // SAFETY: `list_to_change` gives one of a request that C has not freed.
        Ok(unsafe { headers::remove(list, &name) })
    }

    pub(super) fn clear_headers(&self, call: &'static str) -> Result<()> {
        let list = self.list_to_change(call, HeaderSide::Output)?;
        // SAFETY: `list_to_change` gives one of a request that C has not freed.
        unsafe { ffi::evhttp_clear_headers(list) };
        Ok(())
    }

    pub(super) fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let raw = self.usable(call)?;
        let buffer = match side {
            // SAFETY: `usable` gives a request that C has not freed.
            Side::Input => unsafe { ffi::evhttp_request_get_input_buffer(raw) },
            // SAFETY: `usable` gives a request that C has not freed.
            Side::Output => unsafe { ffi::evhttp_request_get_output_buffer(raw) },
        };
        let buffer = cvt_owned(call, buffer)?;
        // SAFETY: the buffer lives as long as the request; no callback hangs on it that could
        // free either.
        Ok(unsafe { BufferView::new(buffer, Access::Lent, call) })
    }

    pub(super) fn connection(&self) -> Option<Rc<connection::Inner>> {
        (!self.conn.peer().raw().is_null()).then(|| Rc::clone(&self.conn))
    }

    pub(super) fn buffer_event(&self) -> Option<EventBufferEvent> {
        self.conn.peer().view(&self.server.base)
    }

    /// The last handle went: a peer that waits is told so, and one that is in the middle of an
    /// answer is not left to take it for whole.
    pub(super) fn end(&self) {
        let raw = self.forget();
        if raw.is_null() {
            return;
        }
        if self.conn.peer().raw().is_null() {
            // SAFETY: the peer went, so that libevent has given the request up; no handle has it.
            unsafe { give_up(&self.server.base, raw) };
        } else if self.server.base.is_foreign() {
            // The connection has it, and is freed with the server.
        } else if self.conn.peer().is_inherited() {
            self.conn.close(); // the parent answers
        } else if self.progress.get() == Progress::Waiting {
            // SAFETY: `raw` is live, and belongs to `conn`.
            unsafe { page::send(raw, 500, None, None) };
            self.answered();
        } else if self.progress.get() != Progress::Answered {
            self.conn.close();
        }
    }
}

impl ServerRequest {
    /// Forgets the native request: C frees it, or keeps it from now on.
    pub(super) fn forget(&self) -> *mut ffi::evhttp_request {
        self.raw.replace(ptr::null_mut())
    }

    /// One of the two lists of headers.
    fn list(&self, call: &'static str, side: HeaderSide) -> Result<*mut ffi::evkeyvalq> {
        let raw = self.usable(call)?;
        Ok(match side {
            // SAFETY: `usable` gives a request that C has not freed.
            HeaderSide::Input => unsafe { ffi::evhttp_request_get_input_headers(raw) },
            // SAFETY: as above.
            HeaderSide::Output => unsafe { ffi::evhttp_request_get_output_headers(raw) },
        })
    }

    /// As [`list`](Self::list), for a change: not of a head that has gone out.
    fn list_to_change(&self, call: &'static str, side: HeaderSide) -> Result<*mut ffi::evkeyvalq> {
        let list = self.list(call, side)?;
        if side == HeaderSide::Output && self.progress.get() != Progress::Waiting {
            return Err(Error::State {
                call,
                reason: "the headers of the reply have gone out already",
            });
        }
        Ok(list)
    }

    /// The answer is complete; what libevent does with it now needs the server.
    pub(super) fn answered(&self) {
        self.conn.peer().answered();
        if self.conn.is_asking() {
            self.server.linger();
        }
    }

    /// Whether the peer has nothing of an answer yet.
    pub(super) fn waits_for_answer(&self) -> bool {
        self.progress.get() == Progress::Waiting
    }

    /// libevent frees the connection: the request as well, unless it was taken off it before.
    pub(super) fn connection_ends(&self) {
        let raw = self.raw.get();
        if raw.is_null() {
            return;
        }
        // SAFETY: not null, so libevent has not freed it yet.
        if !unsafe { ffi::evhttp_request_get_connection(raw) }.is_null() {
            self.forget();
        }
    }

    /// Frees the native request, whose connection is gone.
    pub(super) fn give_up(&self) {
        let raw = self.forget();
        if !raw.is_null() {
            // SAFETY: not null, so it was not freed; it was forgotten in the line above.
            unsafe { give_up(&self.server.base, raw) };
        }
    }
}

impl request::Inner {
    /// After the closure that was shown the request: looks out for the end of its peer, if
    /// somebody wants to know.
    pub(crate) fn look_out(&self) {
        if let Some(request) = self.server() {
            request.conn.peer().look_out(&request.conn);
        }
    }
}

/// Frees a request whose connection is gone.
///
/// # Safety
/// Nobody has `raw` any more.
unsafe fn give_up(base: &base::Inner, raw: *mut ffi::evhttp_request) {
    base.end(Remains(raw));
}

/// A native request that is ours to free.
struct Remains(*mut ffi::evhttp_request);

impl base::Remains for Remains {
    fn free(self: Box<Self>, _base: &base::Inner) {
        // SAFETY: the handle that would have freed it gave it up.
        unsafe { ffi::evhttp_request_free(self.0) };
    }
}
