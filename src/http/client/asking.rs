//! A client's request: its closure, its native half, and where it is on its way.
//!
//! Owns: the native request, from its making on. libevent only borrows it: it is marked as the
//! user's (`evhttp_request_own`), so that nothing that becomes of its connection frees it. While
//! it is under way the connection holds a count of the [`request::Inner`] around it, hence it
//! is in no queue of libevent's when it is freed.
//! Lent to C: one weak count of that `Inner`, for all callbacks of the request.
//! Runs user code: the closure, through `trampoline`, never from one of libevent's callbacks.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::ptr;
use std::rc::{Rc, Weak};

use super::answer::{self, Changed};
use super::error::HttpError;
use super::line::{Framing, Line};
use super::{EventHttpConnection, connection, headers, request};
use crate::buffer::{EventBuffer, Lender, Side};
use crate::error::{Error, Result, cvt, cvt_p};
use crate::flags::{HeaderSide, HttpMethods};
use crate::http::connection::Lent;
use crate::http::request::{Role, freed};
use crate::native::evbuffer::{Access, BufferView};
use crate::runtime::error::cvt_owned;
use crate::trampoline::{self, Slot};
use crate::{EventHttpRequest, base, ffi, log};

pub(crate) type Callback = dyn FnMut(Option<&EventHttpRequest>);

/// What a client's request has beside what every request has.
pub(crate) struct ClientRequest {
    raw: Cell<*mut ffi::evhttp_request>,    // null once it is freed
    base: RefCell<Option<Rc<base::Inner>>>, // none until it is made
    pub(crate) slot: Slot<Callback>,
    arg: Cell<Lent>, // the weak count lent to C
    stage: Cell<Stage>,
    conn: RefCell<Weak<connection::Inner>>, // while it is under way
    line: RefCell<Option<Line>>,
    added: RefCell<Framing>, // which headers are not the user's
    changed: Cell<Changed>,
    told: Cell<Option<HttpError>>, // what libevent said, before it calls back
    error: Cell<Option<HttpError>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not made yet.
    New,
    /// Made, and the closure was not called yet.
    UnderWay,
    /// Answered, failed or cancelled.
    Over,
    /// Given up by [`EventHttpRequest::free`].
    Freed,
}

impl request::Inner {
    /// A request that is not made yet.
    pub(super) fn of_client(callback: Box<Callback>) -> Result<Rc<Self>> {
        log::install();
        let asking = ClientRequest {
            raw: Cell::new(ptr::null_mut()),
            base: RefCell::default(),
            slot: Slot::new(callback),
            arg: Cell::new(ptr::null_mut()),
            stage: Cell::new(Stage::New),
            conn: RefCell::default(),
            line: RefCell::default(),
            added: RefCell::default(),
            changed: Cell::default(),
            told: Cell::default(),
            error: Cell::default(),
        };
        let request = Rc::new(Self::new(Role::Client(asking)));
        let arg = trampoline::lend(&request);
        if let Role::Client(asking) = &request.role {
            asking.arg.set(arg);
        }
        request.set_raw(native("EventHttpRequest::__construct", arg)?);
        Ok(request)
    }

    /// The native request of a client's, null once it is freed.
    pub(super) fn raw(&self) -> *mut ffi::evhttp_request {
        self.asking()
            .map_or(ptr::null_mut(), |asking| asking.raw.get())
    }

    fn set_raw(&self, raw: *mut ffi::evhttp_request) {
        self.asking().inspect(|asking| asking.raw.set(raw));
    }

    /// What a client's request has, if it is one.
    pub(crate) fn asking(&self) -> Option<&ClientRequest> {
        match &self.role {
            Role::Client(asking) => Some(asking),
            Role::Server(_) => None,
        }
    }
}

/// A native request whose callbacks are ours.
fn native(call: &'static str, arg: Lent) -> Result<*mut ffi::evhttp_request> {
    // SAFETY: `arg` stays lent until `ClientRequest::end` has freed the request.
    let raw = unsafe { ffi::evhttp_request_new(Some(trampoline::on_answer), arg) };
    let raw = cvt_p(call, raw)?;
    // SAFETY: made above.
    unsafe { ffi::evhttp_request_own(raw) };
    // SAFETY: as above.
    unsafe { ffi::evhttp_request_set_header_cb(raw, Some(trampoline::on_answer_head)) };
    // SAFETY: as above.
    unsafe { ffi::evhttp_request_set_error_cb(raw, Some(trampoline::on_answer_error)) };
    Ok(raw)
}

/// What the class asks of its role.
impl ClientRequest {
    /// The native request, if C may be called with it.
    pub(crate) fn usable(&self, call: &'static str) -> Result<*mut ffi::evhttp_request> {
        if let Some(base) = self.base.borrow().as_ref() {
            base.usable(call)?;
        }
        self.not_freed(call)
    }

    /// As [`usable`](Self::usable), whatever has become of the base.
    fn not_freed(&self, call: &'static str) -> Result<*mut ffi::evhttp_request> {
        let raw = self.raw.get();
        if raw.is_null() {
            return Err(freed(call));
        }
        Ok(raw)
    }

    pub(crate) fn command(&self, call: &'static str) -> Result<HttpMethods> {
        self.usable(call)?;
        Ok(self.method())
    }

    pub(crate) fn uri(&self, call: &'static str) -> Result<Option<String>> {
        self.usable(call)?;
        let line = self.line.borrow();
        Ok(line
            .as_ref()
            .map(|line| line.uri.to_string_lossy().into_owned()))
    }

    pub(crate) fn host(&self, call: &'static str) -> Result<Option<String>> {
        self.usable(call)?;
        Ok(self.line.borrow().as_ref().map(|line| line.host.clone()))
    }

    pub(crate) fn response_code(&self, call: &'static str) -> Result<u16> {
        let raw = self.usable(call)?;
        // SAFETY: `usable` gives a request that C has not freed.
        let code = unsafe { ffi::evhttp_request_get_response_code(raw) };
        Ok(code.try_into().unwrap_or(0))
    }

    pub(crate) fn headers(
        &self,
        call: &'static str,
        side: HeaderSide,
    ) -> Result<Vec<(String, String)>> {
        let list = self.list(call, side)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        Ok(unsafe { headers::all(list) })
    }

    pub(crate) fn find_header(
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

    pub(crate) fn add_header(
        &self,
        call: &'static str,
        name: &str,
        value: &[u8],
        side: HeaderSide,
    ) -> Result<()> {
        let name = headers::checked_name(call, name)?;
        let value = headers::checked_line(call, "header value", value)?;
        let list = self.list(call, side)?;
        self.at_rest(call)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        unsafe { headers::append(call, list, &name, &value) }
    }

    pub(crate) fn remove_header(
        &self,
        call: &'static str,
        name: &str,
        side: HeaderSide,
    ) -> Result<bool> {
        let name = headers::checked_name(call, name)?;
        let list = self.list(call, side)?;
        self.at_rest(call)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        Ok(unsafe { headers::remove(list, &name) })
    }

    pub(crate) fn clear_headers(&self, call: &'static str) -> Result<()> {
        let list = self.list(call, HeaderSide::Output)?;
        self.at_rest(call)?;
        // SAFETY: `list` gives one of a request that C has not freed.
        unsafe { ffi::evhttp_clear_headers(list) };
        Ok(())
    }

    fn list(&self, call: &'static str, side: HeaderSide) -> Result<*mut ffi::evkeyvalq> {
        let raw = self.usable(call)?;
        Ok(match side {
            // SAFETY: `usable` gives a request that C has not freed.
            HeaderSide::Input => unsafe { ffi::evhttp_request_get_input_headers(raw) },
            // SAFETY: `usable` gives a request that C has not freed.
            HeaderSide::Output => unsafe { ffi::evhttp_request_get_output_headers(raw) },
        })
    }

    /// A body: what came, or what goes out.
    pub(crate) fn buffer(&self, request: &Rc<request::Inner>, side: Side) -> EventBuffer {
        EventBuffer::lent(Rc::clone(request) as Rc<dyn Lender>, side)
    }

    /// What [`buffer`](Self::buffer) lends.
    pub(crate) fn view(&self, call: &'static str, side: Side) -> Result<BufferView<'_>> {
        let raw = self.usable(call)?;
        self.at_rest(call)?;
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
}

impl ClientRequest {
    pub(crate) fn is_under_way(&self) -> bool {
        self.stage.get() == Stage::UnderWay
    }

    /// Refuses what would change a request under libevent's feet.
    pub(crate) fn at_rest(&self, call: &'static str) -> Result<()> {
        if !self.is_under_way() {
            return Ok(());
        }
        Err(Error::State {
            call,
            reason: "the request is under way: wait for its answer, or cancel it",
        })
    }

    pub(crate) fn connection(&self) -> Option<EventHttpConnection> {
        self.conn.borrow().upgrade().map(EventHttpConnection)
    }

    pub(crate) fn method(&self) -> HttpMethods {
        let line = self.line.borrow();
        line.as_ref()
            .map_or(HttpMethods::empty(), |line| line.method)
    }

    /// What the next `evhttp_make_request` is given.
    pub(super) fn line_for_c(&self) -> Option<(ffi::evhttp_cmd_type, CString)> {
        let line = self.line.borrow();
        line.as_ref()
            .map(|line| (line.method.bits(), line.uri.clone()))
    }

    /// The headers that the user has set, and the length of the body.
    pub(super) fn outgoing(&self, call: &'static str) -> Result<(Vec<(String, String)>, usize)> {
        let raw = self.not_freed(call)?;
        // SAFETY: `not_freed` gives a live request, in no queue.
        let list = unsafe { ffi::evhttp_request_get_output_headers(raw) };
        // SAFETY: its list.
        let headers = unsafe { headers::all(list) };
        // SAFETY: as above.
        let body = unsafe { ffi::evhttp_request_get_output_buffer(raw) };
        // SAFETY: its buffer.
        Ok((headers, unsafe { ffi::evbuffer_get_length(body) }))
    }

    /// Takes the request back if it is under way.
    pub(crate) fn cancel(&self, request: &Rc<request::Inner>) {
        let conn = self.conn.borrow().upgrade();
        if let Some(conn) = conn
            && let Some(client) = conn.client()
        {
            client.withdraw(&conn, request);
        }
    }

    /// Makes the request ready to be sent over `conn`.
    pub(super) fn depart(
        &self,
        call: &'static str,
        request: &request::Inner,
        conn: &Rc<connection::Inner>,
        (line, framing): (Line, Framing),
    ) -> Result<()> {
        if self.stage.get() == Stage::Over {
            self.renew(call, request)?;
        }
        let raw = request.raw();
        // SAFETY: `raw` is live, and in no queue.
        let list = unsafe { ffi::evhttp_request_get_output_headers(raw) };
        self.added.replace(Framing::default());
        let result = (|| {
            if let Some(host) = &framing.host {
                let host = headers::checked_line(call, "host", host)?;
                // SAFETY: the list of a live request.
                unsafe { headers::append(call, list, c"Host", &host) }?;
                self.added.borrow_mut().host.clone_from(&framing.host);
            }
            if let Some(length) = framing.length {
                let text = headers::checked_line(call, "length", length.to_string())?;
                // SAFETY: as above.
                unsafe { headers::append(call, list, c"Content-Length", &text) }?;
                self.added.borrow_mut().length = Some(length);
            }
            Ok(())
        })();
        if let Err(error) = result {
            self.remove_added(request);
            return Err(error);
        }
        self.line.replace(Some(line));
        self.told.set(None);
        self.error.set(None);
        self.stage.set(Stage::UnderWay);
        self.conn.replace(Rc::downgrade(conn));
        self.base.replace(Some(Rc::clone(conn.base())));
        Ok(())
    }

    /// Another native request, since libevent would add the next answer to the one before.
    fn renew(&self, call: &'static str, request: &request::Inner) -> Result<()> {
        let fresh = native(call, self.arg.get())?;
        let former = request.raw();
        // SAFETY: both are live, and in no queue.
        if let Err(error) = unsafe { hand_on(call, former, fresh) } {
            // SAFETY: made above, and nobody knows it.
            unsafe { ffi::evhttp_request_free(fresh) };
            return Err(error);
        }
        request.set_raw(fresh);
        // SAFETY: nobody knows `former` any more.
        unsafe { ffi::evhttp_request_free(former) };
        Ok(())
    }

    /// Has the request forget a connection that has ended: libevent asserts that there is none.
    pub(super) fn unlink(&self, call: &'static str, request: &request::Inner) -> Result<()> {
        // SAFETY: `raw` is live, and in no queue.
        if unsafe { ffi::evhttp_request_get_connection(request.raw()) }.is_null() {
            return Ok(());
        }
        self.renew(call, request)
    }

    /// The request is not libevent's any more: it may be looked at, changed, and made again.
    pub(crate) fn land(&self, request: &request::Inner, error: Option<HttpError>) {
        self.stage.set(Stage::Over);
        self.error.set(error);
        self.conn.take();
        // SAFETY: `raw` is live: only `end` frees it.
        unsafe { self.changed.take().undo(request.raw()) };
        self.remove_added(request);
    }

    /// The caller never heard of it: the request is as it was before.
    pub(super) fn stay(&self, request: &request::Inner) {
        self.land(request, None);
    }

    fn remove_added(&self, request: &request::Inner) {
        let added = self.added.take();
        // SAFETY: `raw` is live: only `end` frees it.
        let list = unsafe { ffi::evhttp_request_get_output_headers(request.raw()) };
        if added.host.is_some() {
            // SAFETY: the list of a live request.
            unsafe { headers::remove(list, c"Host") };
        }
        if added.length.is_some() {
            // SAFETY: as above.
            unsafe { headers::remove(list, c"Content-Length") };
        }
    }

    /// Why the last attempt failed, as far as it was told.
    pub(super) fn take_told(&self) -> Option<HttpError> {
        self.told.take()
    }

    /// The last handle went, or the request is given up: it is in no queue of libevent's.
    pub(crate) fn end(&self) {
        let raw = self.raw.replace(ptr::null_mut());
        self.stage.set(Stage::Freed);
        if !raw.is_null() {
            // SAFETY: ours, and taken out of the request above.
            unsafe { ffi::evhttp_request_free(raw) };
        }
        let arg = self.arg.replace(ptr::null_mut());
        if !arg.is_null() {
            // SAFETY: libevent has no request any more that it would call back for with `arg`.
            unsafe { trampoline::reclaim::<request::Inner>(arg) };
        }
    }
}

/// What libevent tells of a request that it works on.
impl request::Inner {
    /// libevent has taken the request out of its queue; `whole` is null when it failed.
    pub(crate) fn answered(self: &Rc<Self>, whole: *mut ffi::evhttp_request) {
        let Some(asking) = self.asking() else { return };
        let conn = asking.conn.borrow().upgrade();
        if let Some(conn) = conn
            && let Some(client) = conn.client()
        {
            client.answered(&conn, self, !whole.is_null());
        }
    }

    /// The answer's head was read; tells whether it may be read on.
    ///
    /// # Safety
    /// Called by libevent for the native request of `self`.
    pub(crate) unsafe fn head_read(&self) -> bool {
        let Some(asking) = self.asking() else {
            return false;
        };
        let head = asking.method() == HttpMethods::HEAD;
        // SAFETY: the caller's duty.
        match unsafe { answer::checked(self.raw(), head) } {
            Some(changed) => asking.changed.set(changed),
            None => {
                asking.told.set(Some(HttpError::InvalidHeader));
                return false;
            }
        }
        true
    }

    /// libevent is about to say that the request failed.
    pub(crate) fn failed(&self, error: HttpError) {
        if let Some(asking) = self.asking()
            && asking.told.get().is_none()
        {
            asking.told.set(Some(error));
        }
    }
}

/// Moves what the user put into a request to another one.
///
/// # Safety
/// Both are live, and in no queue.
unsafe fn hand_on(
    call: &'static str,
    from: *mut ffi::evhttp_request,
    to: *mut ffi::evhttp_request,
) -> Result<()> {
    // SAFETY: the caller's duty, here and below.
    let list = unsafe { ffi::evhttp_request_get_output_headers(from) };
    // SAFETY: as above.
    let new = unsafe { ffi::evhttp_request_get_output_headers(to) };
    // SAFETY: the lists of live requests.
    unsafe { headers::copy(call, list, new) }?;
    // SAFETY: as above.
    let body = unsafe { ffi::evhttp_request_get_output_buffer(from) };
    // SAFETY: as above.
    let empty = unsafe { ffi::evhttp_request_get_output_buffer(to) };
    // SAFETY: the buffers of live requests.
    cvt(call, unsafe { ffi::evbuffer_add_buffer(empty, body) }).map(drop)
}

impl EventHttpRequest {
    /// Makes a client's request, for
    /// [`EventHttpConnection::make_request`](crate::EventHttpConnection::make_request).
    ///
    /// The closure is called once for each time the request is made, always from the loop: with
    /// the request when the answer is complete, and also, with a response code of 0, when no
    /// connection could be made; with `None` when it failed otherwise. [`error`](Self::error)
    /// says why. While it is under way the request is kept alive by its connection: the handle
    /// may be dropped, and the closure is called all the same.
    ///
    /// PHP: `EventHttpRequest::__construct`. libevent: `evhttp_request_new`.
    ///
    /// # Errors
    /// [`Error::Call`] without memory.
    ///
    /// # Examples
    /// ```
    /// use php_event::EventHttpRequest;
    ///
    /// let request = EventHttpRequest::new(|answer| match answer {
    ///     Some(answer) => println!("{:?}", answer.get_response_code()),
    ///     None => println!("no answer"),
    /// })?;
    /// request.add_header("Accept", "text/plain", EventHttpRequest::OUTPUT_HEADER)?;
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    ///
    /// The closure owns what it uses:
    /// ```compile_fail,E0373
    /// let called = std::cell::Cell::new(false);
    /// let request = php_event::EventHttpRequest::new(|_answer| called.set(true)).unwrap();
    /// ```
    /// ```
    /// let called = std::rc::Rc::new(std::cell::Cell::new(false));
    /// let request = php_event::EventHttpRequest::new(move |_answer| called.set(true)).unwrap();
    /// ```
    #[doc(alias = "EventHttpRequest::__construct", alias = "evhttp_request_new")]
    pub fn new<F>(callback: F) -> Result<Self>
    where
        F: FnMut(Option<&EventHttpRequest>) + 'static,
    {
        request::Inner::of_client(Box::new(callback)).map(Self)
    }

    /// Why the last attempt of a client's request failed; `None` when it did not, or is still
    /// under way, and for a server's request. Beyond PHP.
    ///
    /// libevent: `evhttp_request_set_error_cb`.
    ///
    /// # Examples
    /// ```
    /// use php_event::{EventBase, EventHttpConnection, EventHttpRequest, HttpError};
    ///
    /// # let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    /// let base = EventBase::new()?;
    /// let connection = EventHttpConnection::new(&base, None, "127.0.0.1", closed)?;
    /// let request = EventHttpRequest::new(|_answer| {})?;
    /// assert_eq!(request.error(), None);
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// base.dispatch()?;
    /// assert_eq!(request.error(), Some(HttpError::NotConnected));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    #[doc(alias = "evhttp_request_set_error_cb")]
    pub fn error(&self) -> Option<HttpError> {
        self.0.asking()?.error.get()
    }

    /// Gives a client's request up: its closure is dropped and not called any more, and later
    /// calls answer [`Error::Freed`]. One that is under way is cancelled. Freeing twice is
    /// harmless, and a server's request stays as it is.
    ///
    /// Other than in PHP there is no need to: a request goes with its last handle. It helps
    /// where a closure holds its own request.
    ///
    /// PHP: `EventHttpRequest::free`, which crashes when the request is under way.
    /// libevent: `evhttp_request_free`.
    ///
    /// # Examples
    /// ```
    /// # use php_event::{EventBase, EventHttpConnection, EventHttpRequest};
    /// # let base = EventBase::new()?;
    /// # let connection = EventHttpConnection::new(&base, None, "127.0.0.1", 9)?;
    /// let request = EventHttpRequest::new(|_answer| unreachable!("it was freed"))?;
    /// connection.make_request(&request, EventHttpRequest::CMD_GET, "/")?;
    /// request.free(); // on second thoughts
    /// request.free();
    /// # Ok::<(), php_event::EventException>(())
    /// ```
    #[doc(alias = "EventHttpRequest::free", alias = "evhttp_request_free")]
    pub fn free(&self) {
        let Some(asking) = self.0.asking() else {
            return;
        };
        let conn = asking.conn.borrow().upgrade();
        let inherited = conn.is_some_and(|conn| conn.base().is_foreign());
        if !inherited {
            asking.cancel(&self.0);
        }
        let callback = asking.slot.set(None);
        if !inherited {
            asking.end();
        } // else libevent has it in its queue, and the connection keeps it
        drop(callback); // no borrow is held: captured values may run user code
    }
}
